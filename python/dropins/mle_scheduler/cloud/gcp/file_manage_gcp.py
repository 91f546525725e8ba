"""Where the original package has these names."""

from .helpers_launch_gcp import copy_dir_gcp, delete_dir_gcp, send_dir_gcp

__all__ = ["copy_dir_gcp", "delete_dir_gcp", "send_dir_gcp"]
