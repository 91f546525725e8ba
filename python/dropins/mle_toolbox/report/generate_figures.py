"""Where the original package has these names."""

from ..src.report import FigureGenerator

__all__ = ["FigureGenerator"]
