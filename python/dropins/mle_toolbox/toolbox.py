"""Where the original package has these names."""

from .cli import main

__all__ = ["main"]
