"""Where the original package has these names."""

from .jobs import check_single_job_args, spawn_multiple_configs, spawn_multiple_seeds, spawn_processing_job, spawn_single_job

__all__ = [
    "check_single_job_args",
    "spawn_multiple_configs",
    "spawn_multiple_seeds",
    "spawn_processing_job",
    "spawn_single_job",
]
