"""Where the original package has these names."""

from .resource import MLEResource

__all__ = ["MLEResource"]
