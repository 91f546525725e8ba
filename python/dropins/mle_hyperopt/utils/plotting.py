"""Where the original package has these names."""

from .helpers import load_search_log, load_yaml
from .visualize import visualize_2D_grid

__all__ = ["load_search_log", "load_yaml", "visualize_2D_grid"]
