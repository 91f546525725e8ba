"""Where the original package has these names."""

from .helpers_launch_sge import sge_generate_startup_file, submit_sge
from .helpers_monitor_sge import monitor_sge

__all__ = ["monitor_sge", "sge_generate_startup_file", "submit_sge"]
