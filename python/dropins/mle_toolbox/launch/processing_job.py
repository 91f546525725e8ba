"""A script before or after the others."""

from __future__ import annotations

from typing import Any, Mapping

from .jobs import spawn_processing_job


def run_processing_job(
    resource_to_run: str, processing_args: Mapping[str, Any], experiment_dir: str, debug_mode: bool = False
) -> int:
    """Run the script with `-exp_dir` and its own flags; return its status: 0, or -1 when it failed."""
    return spawn_processing_job(
        resource_to_run,
        processing_args["processing_fname"],
        processing_args.get("processing_job_args") or {},
        experiment_dir,
        processing_args.get("extra_cmd_line_input") or {},
        debug_mode,
    )
