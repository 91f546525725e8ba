"""Where the original package has these names."""

from .experiment import launch_experiment, prepare_logger
from .multi_config import run_multiple_configs
from .processing_job import run_processing_job
from .search_experiment import run_hyperparameter_search
from .single_config import run_single_config

__all__ = [
    "launch_experiment",
    "prepare_logger",
    "run_hyperparameter_search",
    "run_multiple_configs",
    "run_processing_job",
    "run_single_config",
]
