"""Reports and their figures."""

from ..src.report import FigureGenerator, ReportGenerator

__all__ = ["FigureGenerator", "ReportGenerator"]
