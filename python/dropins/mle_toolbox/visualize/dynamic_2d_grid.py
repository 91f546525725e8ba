"""Where the original package has these names."""

from .animate import animate_2D_grid

__all__ = ["animate_2D_grid"]
