"""Several configs, each with several seeds."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ..dot import plain
from .jobs import spawn_multiple_configs


def run_multiple_configs(
    resource_to_run: str,
    meta_job_args: Mapping[str, Any],
    single_job_args: Mapping[str, Any],
    multi_config_args: Mapping[str, Any],
    message_id: Optional[str] = None,
    protocol_db: Optional[Any] = None,
    debug_mode: bool = False,
) -> Any:
    """Run each config with each seed and merge their logs; return the queue."""
    told = plain(multi_config_args)
    return spawn_multiple_configs(
        resource_to_run,
        meta_job_args["base_train_fname"],
        told["config_fnames"],
        single_job_args,
        meta_job_args["experiment_dir"],
        told.get("num_seeds"),
        told.get("random_seeds"),
        max_running_jobs=told.get("max_running_jobs"),
        protocol_db=protocol_db,
        debug_mode=debug_mode,
    )
