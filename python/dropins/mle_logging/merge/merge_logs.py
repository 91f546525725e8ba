"""Where the original package has these names."""

from .merge_hdf5 import merge_config_logs, merge_hdf5_files, merge_seed_logs

__all__ = ["merge_config_logs", "merge_hdf5_files", "merge_seed_logs"]
