"""Jobs on Slurm."""

from .helpers_launch_slurm import slurm_generate_startup_file, submit_slurm
from .helpers_monitor_slurm import listed_jobs, monitor_slurm

__all__ = ["listed_jobs", "monitor_slurm", "slurm_generate_startup_file", "submit_slurm"]
