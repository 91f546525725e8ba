"""Searches and their logs."""

from ..search import HyperoptLogger, MLE_BatchSearch

__all__ = ["HyperoptLogger", "MLE_BatchSearch"]
