"""Results: the log of a search beside the logs of its evals."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .dot import DotMap, plain
from .utils import load_pkl_object


def flatten(params: Mapping[str, Any], above: str = "") -> Dict[str, Any]:
    """Return nested parameters with names joined by slashes."""
    found: Dict[str, Any] = {}
    for name, value in params.items():
        name = f"{above}/{name}" if above else str(name)
        if isinstance(value, Mapping):
            found.update(flatten(value, name))
        else:
            found[name] = value
    return found


class HyperLog:
    """What a search has evaluated: a row an eval.

    Columns are attributes too. `search_vars` are the parameters, `search_metrics` the scores.
    """

    def __init__(self, hyper_log: Any) -> None:
        import pandas

        if isinstance(hyper_log, pandas.DataFrame):
            self.hyper_log = hyper_log.reset_index(drop=True)
            self.search_vars = list(hyper_log.attrs.get("search_vars", []))
            self.search_metrics = list(hyper_log.attrs.get("search_metrics", []))
        else:
            rows, names = [], []
            for key in sorted(hyper_log):
                one = plain(hyper_log[key])
                params = flatten(one.get("params", {}))
                # Iterative searches have their parameters, and what is not a parameter, in sections.
                inside = {name for name in params if name.startswith("params/")}
                shown = {
                    name[7:] if name in inside else name: value
                    for name, value in params.items()
                    if not inside or name in inside
                }
                names += [name for name in shown if name not in names]
                rest = {name: value for name, value in one.items() if name != "params"}
                rows.append({**rest, **shown})
            self.hyper_log = pandas.DataFrame(rows)
            self.search_vars = names
            known = set(names) | {
                "time_elapsed", "run_id", "log_paths", "experiment_dir", "config_fname", "model_ckpt", "seeds", "model_type",
                "fig_storage_paths", "log_fname", "failed",
            }  # fmt: skip
            self.search_metrics = [
                str(name)
                for name in self.hyper_log.columns
                if name not in known and pandas.api.types.is_numeric_dtype(self.hyper_log[name])
            ]
        self.hyper_log.attrs.update(search_vars=self.search_vars, search_metrics=self.search_metrics)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "hyper_log":
            raise AttributeError(name)
        if name in self.hyper_log.columns:
            return self.hyper_log[name]
        # Whatever else a frame has.
        return getattr(self.hyper_log, name)

    def __getitem__(self, item: Any) -> Any:
        return self.hyper_log[item]

    def __len__(self) -> int:
        return len(self.hyper_log)

    def __repr__(self) -> str:
        return repr(self.hyper_log)

    def _repr_html_(self) -> Any:
        return self.hyper_log._repr_html_()

    @property
    def columns(self) -> List[str]:
        """The names of all columns."""
        return [str(name) for name in self.hyper_log.columns]

    @property
    def eval_ids(self) -> List[str]:
        """The names of evals in the log."""
        return [str(name) for name in self.hyper_log["run_id"]]

    def unique(self, var_name: Union[str, Sequence[str], None] = None) -> Any:
        """Return the values of a parameter in order; of several, or of all, by name."""
        if isinstance(var_name, str):
            return sorted(self.hyper_log[var_name].dropna().unique().tolist(), key=lambda one: (str(type(one)), one))
        return {name: self.unique(name) for name in (self.search_vars if var_name is None else var_name)}

    def filter(
        self,
        param_dict: Optional[Mapping[str, Any]] = None,
        metric_name: Optional[str] = None,
        top_k: int = 5,
        maximize_metric: bool = False,
    ) -> "HyperLog":
        """Return the evals with these parameters, and of them the `top_k` best of a metric.

        For a number, evals with the nearest value that there is are meant.
        """
        import numpy
        import pandas

        found = self.hyper_log
        for name, value in (param_dict or {}).items():
            column = found[name]
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if is_number and pandas.api.types.is_numeric_dtype(column) and len(column):
                value = column.iloc[int(numpy.nanargmin(numpy.abs(column.to_numpy(float) - value)))]
            found = found[column == value]
        if metric_name is not None:
            found = found.sort_values(metric_name, ascending=not maximize_metric, kind="stable").head(top_k)
        found = found.copy()
        found.attrs.update(search_vars=self.search_vars, search_metrics=self.search_metrics)
        return HyperLog(found)

    def plot_1D_bar(
        self,
        var_name: str,
        metric_name: str,
        fixed_params: Optional[Mapping[str, Any]] = None,
        ymin: Optional[float] = None,
        ymax: Optional[float] = None,
        fig: Any = None,
        ax: Any = None,
    ) -> Any:
        """Draw a metric over a parameter."""
        from .visualize import visualize_1D_bar

        return visualize_1D_bar(
            self.hyper_log, fixed_params, var_name, metric_name, f"{metric_name}: {var_name}", [var_name, metric_name],
            ymin=ymin, ymax=ymax, fig=fig, ax=ax,
        )  # fmt: skip

    def plot_2D_heat(
        self,
        var_names: Sequence[str],
        metric_name: str,
        fixed_params: Optional[Mapping[str, Any]] = None,
        min_heat: Optional[float] = None,
        max_heat: Optional[float] = None,
        fig: Any = None,
        ax: Any = None,
    ) -> Any:
        """Draw a metric over two parameters."""
        from .visualize import visualize_2D_grid

        return visualize_2D_grid(
            self.hyper_log, fixed_params, var_names, metric_name, metric_name, "", list(var_names), metric_name,
            min_heat=min_heat, max_heat=max_heat, fig=fig, ax=ax,
        )  # fmt: skip


def load_hyper_log(hyper_log_fpath: str) -> HyperLog:
    """Return a search's results, `hyper_log.pkl`; reading it runs nothing that it holds."""
    if not os.path.isfile(hyper_log_fpath):
        raise FileNotFoundError(f"there is no hyper log {hyper_log_fpath!r}")
    return HyperLog(load_pkl_object(hyper_log_fpath))


def load_result_logs(
    experiment_dir: str = "experiments",
    meta_log_fname: str = "meta_log.hdf5",
    hyper_log_fname: str = "hyper_log.pkl",
    aggregate_seeds: bool = True,
) -> Tuple[Any, HyperLog]:
    """Return the logs of an experiment's runs, and of its search.

    Raises
    ------
    FileNotFoundError
        When either is not there.
    """
    from mle_logging.load import load_meta_log

    hyper_log = load_hyper_log(os.path.join(experiment_dir, hyper_log_fname))
    return load_meta_log(os.path.join(experiment_dir, meta_log_fname), aggregate_seeds), hyper_log


def combine_experiments(
    experiment_dirs: Sequence[str] = ("experiments",), experiment_ids: Optional[Sequence[str]] = None, aggregate_seeds: bool = True
) -> Tuple[DotMap, DotMap]:
    """Return the logs of several experiments by id, else by their folders' names: of runs, and of searches.

    Raises
    ------
    ValueError
        When two would have the same name.
    """
    names = list(experiment_ids or [os.path.basename(os.path.normpath(folder)) for folder in experiment_dirs])
    if len(names) != len(experiment_dirs) or len(set(names)) != len(names):
        raise ValueError(f"experiment_ids {names} must be as many as folders, and distinct")
    meta, hyper = DotMap(), DotMap()
    for name, folder in zip(names, experiment_dirs):
        meta[name], hyper[name] = load_result_logs(folder, aggregate_seeds=aggregate_seeds)
    return meta, hyper
