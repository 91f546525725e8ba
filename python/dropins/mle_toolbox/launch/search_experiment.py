"""A search for good parameters."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from ..dot import plain
from ..search import HyperoptLogger, MLE_BatchSearch


def run_hyperparameter_search(
    resource_to_run: str,
    meta_job_args: Mapping[str, Any],
    single_job_args: Mapping[str, Any],
    param_search_args: Mapping[str, Any],
    message_id: Optional[str] = None,
    protocol_db: Optional[Any] = None,
    debug_mode: bool = False,
) -> None:
    """Search, for each base config; several of them have folders of their own, named after their stems."""
    meta, told = plain(meta_job_args), plain(param_search_args)
    configs = meta["base_train_config"]
    several = isinstance(configs, (list, tuple)) and len(configs) > 1
    for config in configs if isinstance(configs, (list, tuple)) else [configs]:
        folder = meta["experiment_dir"]
        if several:
            folder = os.path.join(folder, os.path.basename(config).split(".")[0])
        os.makedirs(folder, exist_ok=True)
        logger = HyperoptLogger(os.path.join(folder, "hyper_log.pkl"), **told["search_logging"])
        how: Dict[str, Any] = dict(told["search_config"])
        schedule = how.get("search_schedule", "sync")
        if how.get("search_type") == "Nevergrad":
            how["search_config"] = {**_extent(told["search_resources"]), **(how.get("search_config") or {})}
        search = MLE_BatchSearch(
            logger,
            resource_to_run,
            plain(single_job_args),
            config,
            meta["base_train_fname"],
            folder,
            how["search_params"],
            search_type=how.get("search_type", "Grid"),
            search_schedule=schedule,
            search_config=how.get("search_config"),
            message_id=message_id,
            protocol_db=protocol_db,
            debug_mode=debug_mode,
        )
        resources = dict(told["search_resources"])
        # What an earlier start has done already is not done again.
        if schedule == "sync" and "num_search_batches" in resources:
            resources["num_search_batches"] = max(0, resources["num_search_batches"] - search.batches_done)
        elif "num_total_evals" in resources:
            resources["num_total_evals"] = max(0, resources["num_total_evals"] - len(logger))
        known = (
            "num_search_batches", "num_evals_per_batch", "num_total_evals", "max_running_jobs", "num_seeds_per_eval",
            "random_seeds",
        )  # fmt: skip
        search.run_search(**{key: resources.get(key) for key in known})


def _extent(resources: Mapping[str, Any]) -> Dict[str, int]:
    """Return how many evals there will be in all and at once, as Nevergrad's optimizers want to know."""
    sizes = resources.get("num_evals_per_batch") or 1
    if not isinstance(sizes, (list, tuple)):
        sizes = [sizes] * int(resources.get("num_search_batches") or 1)
    total, most = resources.get("num_total_evals") or sum(sizes), max(sizes, default=1)
    if resources.get("num_total_evals"):
        most = resources.get("max_running_jobs") or total
    return {"budget_size": max(1, int(total)), "num_workers": max(1, min(int(most), int(total)))}
