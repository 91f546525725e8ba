"""Searches: what strategies ask for is run batch by batch, and what came of it is kept."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import mle

from .config import mle_config
from .dot import plain
from .utils import load_config, load_pkl_object, save_pkl_object

logger = logging.getLogger("mle_toolbox.search")

#: What is kept of an eval's log beside its scores.
_META = ("log_paths", "experiment_dir", "config_fname", "model_ckpt", "seeds", "model_type", "fig_storage_paths")


class HyperoptLogger:
    """What a search has evaluated.

    Parameters
    ----------
    hyperlog_fname : str
        The file it is kept in; beside it `mle.db`, or the file that `MLE_DB` names, has it too.
    max_objective : bool
        Larger is better.
    aggregate_seeds : str
        Over seeds: "mean", "p10", "p25", "p50", "p75" or "p90".
    problem_type : str
        The score is of the "final" log point, the "best" one, or the "mean" of all.
    eval_metrics : str or list of str
        What scores are of.
    reload_log : bool
        Go on with the file when it is there.
    no_results_logging : bool
        Keep nothing.
    """

    def __init__(
        self,
        hyperlog_fname: str = "hyper_log.pkl",
        max_objective: bool = True,
        aggregate_seeds: str = "mean",
        problem_type: str = "final",
        eval_metrics: Union[str, List[str]] = [],
        reload_log: bool = False,
        no_results_logging: bool = False,
    ) -> None:
        if aggregate_seeds not in ("mean", "p10", "p25", "p50", "p75", "p90"):
            raise ValueError(f"aggregate_seeds {aggregate_seeds!r} is none of mean, p10, p25, p50, p75, p90")
        if problem_type not in ("final", "best", "mean"):
            raise ValueError(f"problem_type {problem_type!r} is none of final, best, mean")
        self.hyperlog_fname = os.fspath(hyperlog_fname)
        self.max_objective = max_objective
        self.aggregate_seeds = aggregate_seeds
        self.problem_type = problem_type
        self.eval_metrics = [eval_metrics] if isinstance(eval_metrics, str) else list(eval_metrics)
        self.no_results_logging = no_results_logging
        self.opt_log: Dict[int, Dict[str, Any]] = {}
        #: The number of the last eval; they are counted from 1.
        self.iter_id = 0
        self.reload = bool(reload_log)
        self.best_per_metric: Dict[str, Dict[str, Any]] = {}
        if reload_log:
            self.reload_log()

    def __len__(self) -> int:
        return len(self.opt_log)

    def reload_log(self) -> None:
        """Read the file, when it is there."""
        if not os.path.isfile(self.hyperlog_fname):
            self.reload = False
            return
        self.opt_log = {int(key): dict(value) for key, value in load_pkl_object(self.hyperlog_fname).items()}
        self.iter_id = max(self.opt_log, default=0)
        self.best_per_metric = self.get_best_performances(self.eval_metrics)

    def _score(self, stats: Mapping[str, Any], metric: str) -> float:
        import numpy

        found = stats[metric]
        if isinstance(found, Mapping):
            found = found[self.aggregate_seeds]
        values = numpy.asarray(numpy.ma.filled(numpy.ma.asarray(found, dtype="float64"), numpy.nan))
        values = values.reshape(len(values), -1)[:, 0] if values.ndim else values.reshape(1)
        if self.problem_type == "final":
            return float(values[-1])
        if numpy.isnan(values).all():
            return math.nan
        if self.problem_type == "mean":
            return float(numpy.nanmean(values))
        return float(numpy.nanmax(values) if self.max_objective else numpy.nanmin(values))

    def update_log(
        self,
        params: Union[Mapping[str, Any], Sequence[Mapping[str, Any]]],
        meta_eval_log: Any,
        time_elapsed: float,
        run_ids: Union[str, Sequence[str], None] = None,
    ) -> Tuple[Any, Optional[List[Any]]]:
        """Add evals; return their scores and their checkpoints.

        Parameters
        ----------
        params : dict or list of dict
            What was evaluated.
        meta_eval_log : mle_logging.MetaLog
            Aggregated over seeds. An eval that it lacks has failed: its scores are NaN.
        time_elapsed : float
            Of the batch [s].
        run_ids : str or list of str
            Their names in the log.

        Returns
        -------
        scores : list of float, or of list of float with several metrics
        checkpoints : list or None
            None when no eval left one.
        """
        batch = [params] if isinstance(params, Mapping) else list(params)
        names = [run_ids] if isinstance(run_ids, str) else list(run_ids if run_ids is not None else meta_eval_log.eval_ids)
        if len(batch) != len(names):
            raise ValueError(f"there are {len(batch)} proposals and {len(names)} runs")
        there = set(meta_eval_log.eval_ids) if meta_eval_log is not None else set()
        scores, checkpoints = [], []
        for one, name in zip(batch, names):
            record: Dict[str, Any] = {"params": plain(one), "time_elapsed": time_elapsed, "run_id": name}
            if name in there:
                log = meta_eval_log[name]
                for metric in self.eval_metrics:
                    if metric not in log["stats"]:
                        known = ", ".join(sorted(log["stats"]))
                        raise KeyError(f"eval_metrics: {name} logged no {metric!r}; it logged {known}")
                    record[metric] = self._score(log["stats"], metric)
                record.update({key: plain(log["meta"][key]) for key in _META if key in log["meta"]})
                record["log_fname"] = os.path.join(os.path.dirname(self.hyperlog_fname), "meta_log.hdf5")
            else:
                record.update(dict.fromkeys(self.eval_metrics, math.nan))
                record["failed"] = True
            self.iter_id += 1
            self.opt_log[self.iter_id] = record
            scores.append([record[metric] for metric in self.eval_metrics])
            checkpoint = record.get("model_ckpt")
            if hasattr(checkpoint, "tolist"):
                checkpoint = checkpoint.tolist()
            # Of several seeds there are as many; a script goes on with that of its own seed.
            if isinstance(checkpoint, list) and len(checkpoint) == 1:
                checkpoint = checkpoint[0]
            checkpoints.append(checkpoint)
        self.best_per_metric = self.get_best_performances(self.eval_metrics)
        flat = [one[0] for one in scores] if len(self.eval_metrics) == 1 else scores
        return flat, checkpoints if any(one is not None for one in checkpoints) else None

    def get_best_performances(self, eval_metrics: Union[str, Sequence[str]]) -> Dict[str, Dict[str, Any]]:
        """Return, by metric, the number, the score and the parameters of the best eval that did not fail."""
        found = {}
        for metric in [eval_metrics] if isinstance(eval_metrics, str) else eval_metrics:
            rows = [(key, one[metric]) for key, one in self.opt_log.items() if metric in one]
            rows = [(key, float(score)) for key, score in rows if score == score]
            if rows:
                best = (max if self.max_objective else min)(rows, key=lambda row: row[1])
                found[metric] = {"run_id": best[0], "score": best[1], "params": self.opt_log[best[0]]["params"]}
        return found

    def save_log(self) -> None:
        """Write it: the file, and the document `hyper_log` of the newest experiment in the database beside it."""
        if self.no_results_logging:
            return
        save_pkl_object(self.opt_log, self.hyperlog_fname)
        path = os.environ.get("MLE_DB") or os.path.join(os.path.dirname(os.path.abspath(self.hyperlog_fname)), "mle.db")
        if not os.path.isfile(path):
            return
        db = mle.open(path, create=True)
        newest = db.sql("SELECT max(id) FROM experiments").one()
        if newest is not None:
            db.put_document(int(newest), "hyper_log", {str(key): _clean(one) for key, one in self.opt_log.items()})


def _clean(value: Any) -> Any:
    """Return what JSON can hold of a record."""
    if isinstance(value, Mapping):
        return {str(key): _clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    if hasattr(value, "tolist"):
        return _clean(value.tolist())
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def compose_config(base: Mapping[str, Any], proposal: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a base config with a proposal in it.

    `train:lr` goes to `train_config`, `model:width` to `model_config`; other names to `train_config` where the base has
    one, else to the top. Dictionaries are merged.
    """
    found = plain(base)
    for name, value in plain(proposal).items():
        section, colon, key = name.partition(":")
        if colon:
            place = found.setdefault(f"{section}_config", {})
        else:
            key, place = name, found["train_config"] if isinstance(found.get("train_config"), dict) else found
        _put(place, key, value)
    return found


def _put(place: Dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, dict) and isinstance(place.get(key), dict):
        for inner, one in value.items():
            _put(place[key], inner, one)
    else:
        place[key] = value


def _write(config: Mapping[str, Any], path: str) -> None:
    document = mle._mle.Db.as_document(plain(config))
    with open(path, "w", encoding="utf-8") as file:
        if path.endswith(".json"):
            import json

            json.dump(document, file, indent=2)
        else:
            import yaml

            yaml.safe_dump(document, file, default_flow_style=False, sort_keys=False)


class MLE_BatchSearch:
    """A search that runs what its strategy asks for.

    Parameters
    ----------
    hyper_log : HyperoptLogger
    resource_to_run, job_arguments, config_fname, job_fname, experiment_dir
        As of :class:`mle_scheduler.MLEQueue`; `config_fname` is the base config.
    search_params : dict
        real, integer, categorical, as of :class:`mle_hyperopt.RandomSearch`.
    search_type : str
        A key of `mle_hyperopt.Strategies`.
    search_schedule : str
        "sync": batch by batch. "async": all at once.
    search_config : dict, optional
        Of the strategy.
    """

    def __init__(
        self,
        hyper_log: HyperoptLogger,
        resource_to_run: str,
        job_arguments: Mapping[str, Any],
        config_fname: str,
        job_fname: str,
        experiment_dir: str,
        search_params: Mapping[str, Any],
        search_type: str = "Grid",
        search_schedule: str = "sync",
        search_config: Optional[Mapping[str, Any]] = None,
        message_id: Optional[str] = None,
        protocol_db: Optional[Any] = None,
        debug_mode: bool = False,
    ) -> None:
        from mle_hyperopt import Strategies

        if search_type not in Strategies:
            raise ValueError(f"search_type {search_type!r} is none of {', '.join(Strategies)}")
        if search_schedule not in ("sync", "async"):
            raise ValueError(f"search_schedule {search_schedule!r} is neither 'sync' nor 'async'")
        self.hyper_log = hyper_log
        self.resource_to_run = resource_to_run
        self.job_arguments = dict(job_arguments)
        self.config_fname = config_fname
        self.job_fname = job_fname
        self.experiment_dir = experiment_dir
        self.search_type = search_type
        self.search_schedule = search_schedule
        self.protocol_db = protocol_db
        self.debug_mode = debug_mode
        self.base_config = load_config(config_fname)
        self.extension = os.path.splitext(config_fname)[1] or ".yaml"
        os.makedirs(experiment_dir, exist_ok=True)
        shutil.copyfile(config_fname, os.path.join(experiment_dir, f"search_base_config{self.extension}"))
        self.search_log_path = os.path.join(experiment_dir, "search_log.yaml")
        told = plain(search_config) if search_config is not None else None
        self.metric_to_model = (told or {}).get("metric_to_model")
        if told is not None and search_type in ("SMBO", "Nevergrad"):
            told = {**Strategies[search_type].default_config, **told}
        #: A copy: several searches may share what was given.
        space = {kind: plain(found) for kind, found in search_params.items() if found}
        self.strategy = Strategies[search_type](
            **space,
            **({} if told is None else {"search_config": told}),
            maximize_objective=hyper_log.max_objective,
            seed_id=int(mle_config.general.random_seed),
            verbose=False,
        )
        self.run_ids: List[str] = []
        #: Batches that an earlier start has evaluated.
        self.batches_done = 0
        self.seeds: Optional[List[int]] = None
        if hyper_log.reload and len(hyper_log):
            self._reload()

    def _reload(self) -> None:
        if os.path.isfile(self.search_log_path):
            self.strategy.load(reload_path=self.search_log_path)
        self.run_ids = [one["run_id"] for one in self.hyper_log.opt_log.values()]
        batches = [int(name.split("_")[1]) for name in self.run_ids if name.startswith("b_")]
        self.batches_done = max(batches, default=0)
        seeds = [one.get("seeds") for one in self.hyper_log.opt_log.values() if one.get("seeds")]
        self.seeds = [int(seed) for seed in seeds[0]] if seeds and isinstance(seeds[0], list) else None

    def run_search(
        self,
        num_search_batches: Optional[int] = None,
        num_evals_per_batch: Optional[int] = None,
        num_total_evals: Optional[int] = None,
        max_running_jobs: Optional[int] = None,
        num_seeds_per_eval: Optional[int] = 1,
        random_seeds: Optional[Sequence[int]] = None,
    ) -> None:
        """Search to the end.

        Raises
        ------
        ValueError
            When the schedule's numbers are missing.
        mle.FailedError
            When no eval of a batch left a log.
        """
        if random_seeds is not None:
            self.seeds = [int(seed) for seed in random_seeds]
        seeds = num_seeds_per_eval or 1
        if self.search_schedule == "async":
            if num_total_evals is None:
                raise ValueError("search_resources lacks num_total_evals, which search_schedule 'async' needs")
            if num_total_evals:
                number = 0 if not self.run_ids else self.batches_done + 1
                self._batch(number, num_total_evals, max_running_jobs, seeds)
            return
        if num_search_batches is None:
            raise ValueError("search_resources lacks num_search_batches, which search_schedule 'sync' needs")
        for batch in range(num_search_batches):
            sizes = num_evals_per_batch
            size = sizes[batch] if isinstance(sizes, (list, tuple)) else sizes
            if not self._batch(self.batches_done + 1, size, max_running_jobs, seeds):
                logger.warning("the strategy has nothing more to ask for after %d batches", self.batches_done)
                return
            self.batches_done += 1

    def _batch(self, number: int, size: Optional[int], max_running_jobs: Optional[int], num_seeds: int) -> bool:
        from mle_logging import load_log, merge_config_logs
        from mle_scheduler import MLEQueue

        from .launch.jobs import check_single_job_args

        try:
            asked = self.strategy.ask(size or 1)
        except ValueError as error:
            if "is complete" in str(error):
                return False
            raise
        proposals = [asked] if isinstance(asked, Mapping) else list(asked)
        if not proposals:
            return False
        names = [f"b_{number}_eval_{at}" for at in range(len(proposals))]
        files = [os.path.join(self.experiment_dir, name + self.extension) for name in names]
        for proposal, path in zip(proposals, files):
            _write(compose_config(self.base_config, proposal), path)
        began = time.monotonic()
        queue = MLEQueue(
            self.resource_to_run,
            self.job_fname,
            check_single_job_args(self.resource_to_run, self.job_arguments),
            files,
            self.experiment_dir,
            num_seeds,
            random_seeds=self.seeds,
            max_running_jobs=max_running_jobs,
            protocol_db=self.protocol_db,
            debug_mode=self.debug_mode,
        )
        # All batches are run with the seeds of the first.
        self.seeds = queue.random_seeds
        queue.run()
        merged = [name for name, folder in zip(queue.mle_run_ids, queue.mle_log_dirs) if queue._merge_seeds(folder)]
        if not merged:
            raise queue._no_logs(self.experiment_dir)
        failed = sorted(set(names) - set(merged))
        if failed:
            logger.warning("%s left no log: they count as failed", ", ".join(failed))
        before = [
            name for name in self.run_ids if os.path.isfile(os.path.join(self.experiment_dir, name, "logs", "log.hdf5"))
        ]
        merge_config_logs(experiment_dir=self.experiment_dir, all_run_ids=[*before, *merged])
        self.run_ids += names
        meta_log = load_log(os.path.join(self.experiment_dir, "meta_log.hdf5"), aggregate_seeds=True)
        scores, checkpoints = self.hyper_log.update_log(proposals, meta_log, time.monotonic() - began, names)
        self._tell(proposals, scores, checkpoints)
        self.hyper_log.save_log()
        for path in files:
            os.remove(path)
        return True

    def _tell(self, proposals: List[Any], scores: List[Any], checkpoints: Optional[List[Any]]) -> None:
        told = scores
        metrics = self.hyper_log.eval_metrics
        if self.metric_to_model is not None and len(metrics) > 1:
            if self.metric_to_model not in metrics:
                raise ValueError(f"metric_to_model {self.metric_to_model!r} is none of eval_metrics {metrics}")
            told = [one[metrics.index(self.metric_to_model)] for one in scores]
        if checkpoints is None and self.search_type in ("Halving", "Hyperband", "PBT"):
            checkpoints = [None] * len(proposals)
        self.strategy.tell(proposals, told, checkpoints)
        self.strategy.save(self.search_log_path)
