"""Where the original package has these names."""

from ._load import load_log, load_meta_log

__all__ = ["load_log", "load_meta_log"]
