"""Where the original package has these names."""

from .helpers_launch_slurm import slurm_generate_startup_file, submit_slurm
from .helpers_monitor_slurm import monitor_slurm

__all__ = ["monitor_slurm", "slurm_generate_startup_file", "submit_slurm"]
