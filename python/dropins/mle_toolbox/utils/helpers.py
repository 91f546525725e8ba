"""Where the original package has these names."""

from . import get_os_env_ready, print_framed, save_pkl_object

__all__ = ["get_os_env_ready", "print_framed", "save_pkl_object"]
