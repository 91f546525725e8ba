"""Comparing runs."""

from .hypothesis import HypothesisTester

__all__ = ["HypothesisTester"]
