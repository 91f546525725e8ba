"""Where the original package has these names."""

from .experiment import check_experiment_config, prepare_logger, welcome_to_mle_toolbox

__all__ = ["check_experiment_config", "prepare_logger", "welcome_to_mle_toolbox"]
