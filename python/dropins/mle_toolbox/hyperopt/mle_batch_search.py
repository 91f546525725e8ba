"""Where the original package has these names."""

from ..search import HyperoptLogger, MLE_BatchSearch

__all__ = ["HyperoptLogger", "MLE_BatchSearch"]
