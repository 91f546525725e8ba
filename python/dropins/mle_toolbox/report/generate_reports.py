"""Where the original package has these names."""

from ..src.report import FigureGenerator, ReportGenerator

__all__ = ["FigureGenerator", "ReportGenerator"]
