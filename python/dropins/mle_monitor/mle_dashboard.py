"""Where the original package has these names."""

from .dashboard import MLEDashboard

__all__ = ["MLEDashboard"]
