"""Configs, logs, figures and what is printed."""

from .comms import (
    print_grid_hello,
    print_halving_hello,
    print_halving_update,
    print_hyperband_hello,
    print_hyperband_update,
    print_pbt_hello,
    print_pbt_update,
    ranking_message,
    update_message,
    welcome_message,
)
from .helpers import (
    flatten_config,
    load_log,
    load_search_log,
    load_strategy,
    load_yaml,
    merge_config_dicts,
    save_log,
    save_strategy,
    save_yaml,
    unflatten_config,
    write_configs,
)
from .visualize import visualize_2D_grid

__all__ = [
    "flatten_config",
    "load_log",
    "load_search_log",
    "load_strategy",
    "load_yaml",
    "merge_config_dicts",
    "print_grid_hello",
    "print_halving_hello",
    "print_halving_update",
    "print_hyperband_hello",
    "print_hyperband_update",
    "print_pbt_hello",
    "print_pbt_update",
    "ranking_message",
    "save_log",
    "save_strategy",
    "save_yaml",
    "unflatten_config",
    "update_message",
    "visualize_2D_grid",
    "welcome_message",
    "write_configs",
]
