"""Where the original package has these names."""

from ._draw import plot_1D_bar, plot_1D_line
from .static import moving_smooth_ts, visualize_1D_bar, visualize_1D_lcurves, visualize_1D_line

__all__ = [
    "moving_smooth_ts",
    "plot_1D_bar",
    "plot_1D_line",
    "visualize_1D_bar",
    "visualize_1D_lcurves",
    "visualize_1D_line",
]
