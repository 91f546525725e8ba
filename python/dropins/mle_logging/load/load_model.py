"""Where the original package has these names."""

from ._load import load_model

__all__ = ["load_model"]
