"""Where the original package has these names."""

from .animate import animate_1D_lines

__all__ = ["animate_1D_lines"]
