"""Figures of what is in a file, by matplotlib, which is loaded when one is asked for."""

from __future__ import annotations

from ._errors import InvalidError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from ._chart import Chart
    from ._db import Database
    from ._study import Study

#: What a band around a mean shows: lower and upper column of statistics over seeds.
BANDS = {"range": ("min", "max"), "quartiles": ("p25", "p75"), "deciles": ("p10", "p90")}


def axes(ax: Any) -> Any:
    """Return axes to draw on."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    # A figure of its own, in no list of pyplot's: notebooks show it, and it goes when nobody holds it.
    return Figure(layout="constrained").add_subplot()


def curves(
    db: Database, metric: str, groups: Dict[str, List[int]], band: Optional[str], line: str, ax: Any
) -> Any:
    """Draw a metric over steps: a line for each group of runs, with a band over them."""
    if band is not None and band not in BANDS and band != "std":
        raise InvalidError(f"band {band!r} is not known", f"bands are {', '.join(BANDS)}, std and None")
    if line not in ("mean", "p50", "iqm"):
        raise InvalidError(f"line {line!r} is not known", "lines are mean, p50 and iqm")
    ax = axes(ax)
    drawn = 0
    for label, runs in groups.items():
        over = db.over_seeds(run=runs, metric=metric)[metric].numpy()
        if len(over["step"]) == 0:
            continue
        drawn += 1
        (curve,) = ax.plot(over["step"], over[line], label=f"{label} ({len(runs)})" if len(runs) > 1 else label)
        if band is not None and len(runs) > 1:
            if band == "std":
                low, high = over[line] - over["std"], over[line] + over["std"]
            else:
                low, high = (over[name] for name in BANDS[band])
            ax.fill_between(over["step"], low, high, color=curve.get_color(), alpha=0.2, linewidth=0)
    if drawn == 0:
        raise NotFoundError(f"none of the runs has points of {metric!r}")
    ax.set_xlabel("step")
    ax.set_ylabel(metric)
    if 1 < drawn <= 20:
        ax.legend()
    return ax


def chart_curves(db: Database, metrics: List[str], runs: List[int], band: Optional[str], line: str) -> Chart:
    """Return curves over steps as an interactive figure: a line for each group of runs and metric."""
    from ._chart import Chart

    if band is not None and band not in BANDS and band != "std":
        raise InvalidError(f"band {band!r} is not known", f"bands are {', '.join(BANDS)}, std and None")
    if line not in ("mean", "p50", "iqm"):
        raise InvalidError(f"line {line!r} is not known", "lines are mean, p50 and iqm")
    chart = Chart(", ".join(metrics), "step", metrics[0] if len(metrics) == 1 else "")
    for label, group in by_config(db, runs).items():
        over = db.over_seeds(run=group, metric=metrics)
        for metric in metrics:
            frame = over.get(metric)
            if frame is None or len(frame) == 0:
                continue
            name = f"{label} ({len(group)})" if len(group) > 1 else label
            low = high = None
            if band is not None and len(group) > 1:
                if band == "std":
                    pairs = list(zip(frame[line], frame["std"]))
                    low, high = [m - s for m, s in pairs], [m + s for m, s in pairs]
                else:
                    low, high = (frame[end] for end in BANDS[band])
            chart.line(f"{metric}, {name}" if len(metrics) > 1 else name, frame["step"], frame[line], low, high)
    if len(chart) == 0:
        raise NotFoundError(f"none of the runs has points of {', '.join(map(repr, metrics))}")
    return chart


def chart_history(study: Study) -> Chart:
    """Return a study as an interactive figure: the value of each trial, and the best so far."""
    from ._chart import Chart
    from ._html import text

    found = study.db._view(
        "SELECT b.ended, b.value, b.best, t.params FROM best_so_far b JOIN trials t USING (study_id, number)"
        " WHERE b.study_id = ? ORDER BY b.ended",
        [study.id],
    )
    if len(found) == 0:
        raise NotFoundError(f"no trial of study {study.name!r} has ended")
    chart = Chart(f"Study {study.name}", "trials that ended", study.objectives[0][0])
    chart.line("trial", found["ended"], found["value"], dots=True, notes=[text(params, 120) for params in found["params"]])
    return chart.line("best so far", *_stairs(found["ended"], found["best"]))


def chart_front(study: Study) -> Chart:
    """Return the first two objectives of the trials and their front as an interactive figure."""
    from ._chart import Chart
    from ._html import text

    if len(study.objectives) < 2:
        raise InvalidError(f"study {study.name!r} has one objective, a front is of several")
    told = [(values, params) for values, params in zip(*(study.trials()[n] for n in ("values", "params"))) if isinstance(values, list)]
    chart = Chart(f"Study {study.name}", study.objectives[0][0], study.objectives[1][0])
    chart.line("trial", [v[0] for v, _ in told], [v[1] for v, _ in told], dots=True, notes=[text(p, 120) for _, p in told])
    best = sorted(values[:2] for values in study.pareto()["values"])
    return chart.line("front", [v[0] for v in best], [v[1] for v in best])


def _stairs(x: List[Any], y: List[Any]) -> Tuple[List[Any], List[Any]]:
    """Return a line that stays until the next point."""
    across = [at for pair in zip(x, x[1:] + x[-1:]) for at in pair]
    return across, [value for value in y for _ in range(2)]


def by_config(db: Database, runs: List[int]) -> Dict[str, List[int]]:
    """Return runs by their config, named by what tells the configs apart."""
    import json

    marks = json.dumps(runs)
    found = db.sql(
        "SELECT id, config_id, name, params FROM runs WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", [marks]
    )
    groups: Dict[int, List[int]] = {}
    params: Dict[int, Any] = {}
    for run, config, text in zip(found["id"], found["config_id"], found["params"]):
        groups.setdefault(config, []).append(run)
        params[config] = json.loads(text)
    names = [name for of in params.values() for name in of]
    told = [n for n in dict.fromkeys(names) if len({json.dumps(of.get(n), sort_keys=True) for of in params.values()}) > 1]
    labels: Dict[str, List[int]] = {}
    for config, of in groups.items():
        label = ", ".join(f"{name}={params[config].get(name)}" for name in told[:4]) or f"config {config}"
        labels[label if label not in labels else f"{label} [{config}]"] = of
    return labels


def history(study: Study, ax: Any) -> Any:
    """Draw a study: the value of each trial, and the best so far."""
    ax = axes(ax)
    found = study.db.sql("SELECT ended, value, best FROM best_so_far WHERE study_id = ? ORDER BY ended", [study.id])
    if len(found) == 0:
        raise NotFoundError(f"no trial of study {study.name!r} has ended")
    columns = found.numpy()
    ax.plot(columns["ended"], columns["value"], ".", alpha=0.6, label="trial")
    ax.step(columns["ended"], columns["best"], where="post", label="best so far")
    ax.set_xlabel("trials that ended")
    ax.set_ylabel(study.objectives[0][0])
    ax.legend()
    return ax


def front(study: Study, ax: Any) -> Any:
    """Draw the first two objectives of the trials, and their front."""
    if len(study.objectives) < 2:
        raise InvalidError(f"study {study.name!r} has one objective, a front is of several")
    ax = axes(ax)
    told = [values for values in study.trials()["values"] if isinstance(values, list)]
    best = sorted(values[:2] for values in study.pareto()["values"])
    ax.plot([v[0] for v in told], [v[1] for v in told], ".", alpha=0.4, label="trial")
    ax.plot([v[0] for v in best], [v[1] for v in best], "o-", label="front")
    ax.set_xlabel(study.objectives[0][0])
    ax.set_ylabel(study.objectives[1][0])
    ax.legend()
    return ax
