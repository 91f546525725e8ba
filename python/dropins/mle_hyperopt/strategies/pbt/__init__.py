"""Population-based training."""

from .exploit import Exploit, get_exploit_data, get_truncation_ids
from .explore import Explore
from .pbt import PBTSearch

__all__ = ["Exploit", "Explore", "PBTSearch", "get_exploit_data", "get_truncation_ids"]
