"""Jobs on Slurm and GridEngine: submission scripts, submission, and whether a job is still listed."""

from .sge import monitor_sge, submit_sge
from .slurm import monitor_slurm, submit_slurm

__all__ = ["monitor_sge", "monitor_slurm", "submit_sge", "submit_slurm"]
