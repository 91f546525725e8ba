"""Where the original package has these names."""

from . import combine_experiments, load_hyper_log, load_mle_toolbox_config, load_pkl_object, load_result_logs

__all__ = [
    "combine_experiments",
    "load_hyper_log",
    "load_mle_toolbox_config",
    "load_pkl_object",
    "load_result_logs",
]
