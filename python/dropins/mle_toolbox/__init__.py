"""Experiments from files, training scripts, results and their statistics, with the interface of mle-toolbox."""

from .config import mle_config
from .experiment import MLExperiment, experiment
from .launch.jobs import check_single_job_args
from .results import combine_experiments, load_result_logs
from .utils import setup_proxy_server

#: The release whose interface this is.
__version__ = "0.3.4"

__all__ = [
    "MLExperiment", "__version__", "check_single_job_args", "combine_experiments", "experiment", "load_result_logs",
    "mle_config", "setup_proxy_server",
]  # fmt: skip
