"""Figures of results: static ones, and animations. Importing this changes no style of matplotlib."""

from ._draw import plot_1D_bar, plot_1D_line, plot_2D_heatmap
from .animate import animate_1D_lines, animate_2D_grid, animate_2D_scatter, animate_3D_scatter, animate_3D_surface
from .static import moving_smooth_ts, visualize_1D_bar, visualize_1D_lcurves, visualize_1D_line, visualize_2D_grid

__all__ = [
    "animate_1D_lines", "animate_2D_grid", "animate_2D_scatter", "animate_3D_scatter", "animate_3D_surface",
    "moving_smooth_ts", "plot_1D_bar", "plot_1D_line", "plot_2D_heatmap", "visualize_1D_bar", "visualize_1D_lcurves",
    "visualize_1D_line", "visualize_2D_grid",
]  # fmt: skip
