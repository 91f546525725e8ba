"""The spaces of the strategies."""

from .grid import GridSpace, ParameterGrid
from .nevergrad import NevergradSpace
from .random import RandomSpace
from .smbo import SMBOSpace

__all__ = ["GridSpace", "NevergradSpace", "ParameterGrid", "RandomSpace", "SMBOSpace"]
