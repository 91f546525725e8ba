"""Configs, pickles, figures and what is printed."""

from .comms import print_reload, print_startup, print_storage, print_update, print_welcome
from .helpers import (
    load_config,
    load_json_config,
    load_pkl_object,
    load_yaml_config,
    moving_smooth_ts,
    save_pkl_object,
    tokenize,
    write_to_hdf5,
)
from .visualize import visualize_1D_lcurves

__all__ = [
    "load_config",
    "load_json_config",
    "load_pkl_object",
    "load_yaml_config",
    "moving_smooth_ts",
    "print_reload",
    "print_startup",
    "print_storage",
    "print_update",
    "print_welcome",
    "save_pkl_object",
    "tokenize",
    "visualize_1D_lcurves",
    "write_to_hdf5",
]
