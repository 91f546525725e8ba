"""One config, once."""

from __future__ import annotations

from typing import Any, Mapping

from .jobs import spawn_single_job


def run_single_config(
    resource_to_run: str, meta_job_args: Mapping[str, Any], single_job_args: Mapping[str, Any], debug_mode: bool = False
) -> int:
    """Run the script with its config; return its status: 0, or -1 when it failed."""
    return spawn_single_job(
        resource_to_run,
        meta_job_args["base_train_fname"],
        meta_job_args["base_train_config"],
        single_job_args,
        meta_job_args["experiment_dir"],
        debug_mode,
    )
