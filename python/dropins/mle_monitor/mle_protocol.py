"""Where the original package has these names."""

from .protocol import MLEProtocol

__all__ = ["MLEProtocol"]
