"""Logs of several seeds and configs put together."""

from .aggregate import (
    aggregate_batch_evals,
    aggregate_over_seeds,
    aggregate_single_eval,
    tolerant_mean,
    tolerant_median,
)
from .merge_hdf5 import merge_config_logs, merge_hdf5_files, merge_seed_logs

__all__ = [
    "aggregate_batch_evals",
    "aggregate_over_seeds",
    "aggregate_single_eval",
    "merge_config_logs",
    "merge_hdf5_files",
    "merge_seed_logs",
    "tolerant_mean",
    "tolerant_median",
]
