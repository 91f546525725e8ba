"""Where the original package has these names."""

from ..results import HyperLog, load_hyper_log

__all__ = ["HyperLog", "load_hyper_log"]
