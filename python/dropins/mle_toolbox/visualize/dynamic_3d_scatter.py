"""Where the original package has these names."""

from .animate import animate_3D_scatter

__all__ = ["animate_3D_scatter"]
