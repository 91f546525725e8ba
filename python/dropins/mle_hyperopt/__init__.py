"""Hyperparameter search with the interface of mle-hyperopt.

See the folder's README for what is kept where, and what differs.
"""

from .decorator import hyperopt
from .strategies import (
    CoordinateSearch,
    GridSearch,
    HalvingSearch,
    HyperbandSearch,
    NevergradSearch,
    PBTSearch,
    RandomSearch,
    SMBOSearch,
    Strategies,
)

__version__ = "0.1.0"

__all__ = [
    "CoordinateSearch",
    "GridSearch",
    "HalvingSearch",
    "HyperbandSearch",
    "NevergradSearch",
    "PBTSearch",
    "RandomSearch",
    "SMBOSearch",
    "Strategies",
    "__version__",
    "hyperopt",
]
