"""Where the original package has these names."""

from ..launch.jobs import check_single_job_args
from . import (
    determine_resource,
    load_config,
    load_experiment_config,
    load_job_config,
    load_mle_toolbox_config,
    print_framed,
    set_random_seeds,
    setup_proxy_server,
)
from ..config import mle_config

__all__ = [
    "check_single_job_args",
    "determine_resource",
    "load_config",
    "load_experiment_config",
    "load_job_config",
    "load_mle_toolbox_config",
    "mle_config",
    "print_framed",
    "set_random_seeds",
    "setup_proxy_server",
]
