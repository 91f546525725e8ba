"""Loading of logs and models."""

# Modules of these names first: the functions are what the names stand for.
from . import load_log, load_model  # noqa: F401
from ._load import load_log, load_meta_log, load_model  # noqa: F811

__all__ = ["load_log", "load_meta_log", "load_model"]
