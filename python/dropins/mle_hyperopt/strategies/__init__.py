"""The strategies."""

from .coordinate import CoordinateSearch
from .grid import GridSearch
from .halving import HalvingSearch
from .hyperband import HyperbandSearch
from .nevergrad import NevergradSearch
from .pbt import PBTSearch
from .random import RandomSearch
from .smbo import SMBOSearch

#: Strategies by the name that configs have for them.
Strategies = {
    "Random": RandomSearch,
    "Grid": GridSearch,
    "SMBO": SMBOSearch,
    "Nevergrad": NevergradSearch,
    "Coordinate": CoordinateSearch,
    "Halving": HalvingSearch,
    "Hyperband": HyperbandSearch,
    "PBT": PBTSearch,
}

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
]
