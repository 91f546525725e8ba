"""Where the original package has these names."""

from ._draw import plot_2D_heatmap
from .static import visualize_2D_grid

__all__ = ["plot_2D_heatmap", "visualize_2D_grid"]
