"""Experiment logs with the interface of mle-logging, in one SQLite file.

See the folder's README for what is kept where, and what differs.
"""

from .load import load_log, load_meta_log, load_model
from .merge import merge_config_logs, merge_seed_logs
from .meta_log import MetaLog
from .mle_logger import MLELogger
from .utils import load_config

__version__ = "0.1.0"

__all__ = [
    "MLELogger",
    "MetaLog",
    "__version__",
    "load_config",
    "load_log",
    "load_meta_log",
    "load_model",
    "merge_config_logs",
    "merge_seed_logs",
]
