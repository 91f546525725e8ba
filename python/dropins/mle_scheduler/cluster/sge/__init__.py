"""Jobs on GridEngine."""

from .helpers_launch_sge import sge_generate_startup_file, submit_sge
from .helpers_monitor_sge import listed_jobs, monitor_sge

__all__ = ["listed_jobs", "monitor_sge", "sge_generate_startup_file", "submit_sge"]
