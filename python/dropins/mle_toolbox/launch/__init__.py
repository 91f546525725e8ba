"""Running experiments."""

from ..search import HyperoptLogger, MLE_BatchSearch
from .experiment import (
    check_experiment_config,
    compose_protocol_data,
    launch_experiment,
    prepare_logger,
    welcome_to_mle_toolbox,
)
from .jobs import (
    check_single_job_args,
    spawn_multiple_configs,
    spawn_multiple_seeds,
    spawn_processing_job,
    spawn_single_job,
)
from .multi_config import run_multiple_configs
from .processing_job import run_processing_job
from .search_experiment import run_hyperparameter_search
from .single_config import run_single_config

__all__ = [
    "HyperoptLogger", "MLE_BatchSearch",
    "check_experiment_config", "check_single_job_args", "compose_protocol_data", "launch_experiment", "prepare_logger",
    "run_hyperparameter_search", "run_multiple_configs", "run_processing_job", "run_single_config",
    "spawn_multiple_configs", "spawn_multiple_seeds", "spawn_processing_job", "spawn_single_job", "welcome_to_mle_toolbox",
]  # fmt: skip
