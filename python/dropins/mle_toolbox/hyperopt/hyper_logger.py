"""Where the original package has these names."""

from ..search import HyperoptLogger

__all__ = ["HyperoptLogger"]
