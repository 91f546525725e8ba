"""What is printed: tables where rich is there, else lines."""

import time

from .._lazy import is_array, np
from .._store import BUILT_IN

_WIDTH = 80


def _console():
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(width=_WIDTH)


def _table(title, rows):
    """Print rows of two texts."""
    console = _console()
    if console is None:
        if title:
            print(title)
        for name, value in rows:
            print(f"  {name}: {value}")
        return
    from rich.table import Table

    table = Table(title=title, show_header=False, width=_WIDTH)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_welcome():
    """Print which package logs, and when."""
    from .. import __version__

    _table(None, [("mle-logging", f"{__version__}, one SQLite file"), ("begun", time.strftime("%d/%m/%Y %H:%M:%S"))])


def print_startup(
    experiment_dir,
    config_fname=None,
    time_to_track=(),
    what_to_track=(),
    model_type="no-model-type",
    seed_id="no_seed_provided",
    use_tboard=False,
    reload=False,
    print_every_k_updates=1,
    ckpt_time_to_track=None,
    save_every_k_ckpt=None,
    save_top_k_ckpt=None,
    top_k_metric_name=None,
    top_k_minimize_metric=None,
):
    """Print what is logged, and where."""
    rows = [
        ("folder", str(experiment_dir)),
        ("config", str(config_fname)),
        ("clocks", ", ".join(name for name in time_to_track if name not in ("time", "time_elapsed"))),
        ("statistics", ", ".join(what_to_track)),
        ("seed", str(seed_id)),
        ("model", str(model_type)),
        ("TensorBoard", "yes" if use_tboard else "no"),
    ]
    if save_every_k_ckpt is not None:
        rows.append(("checkpoints", f"each {save_every_k_ckpt}. by {ckpt_time_to_track}"))
    if save_top_k_ckpt is not None:
        goal = "smallest" if top_k_minimize_metric else "largest"
        rows.append(("checkpoints", f"the {save_top_k_ckpt} with the {goal} {top_k_metric_name}"))
    _table("Log", rows)


def print_update(time_to_print, what_to_print, c_tick, s_tick, print_header):
    """Print one update as a row, after a header where wanted.

    Parameters
    ----------
    time_to_print, what_to_print : list of str
    c_tick, s_tick : dict
        The update.
    """
    clocks = list(time_to_print)
    names, row = [*clocks, *what_to_print], []
    for name in clocks:
        row.append(_shown(c_tick.get(name)))
    for name in what_to_print:
        row.append(_shown(s_tick.get(name)))
    widths = [14, *[12] * (len(names) - 1)]
    console = _console()
    if console is None:
        if print_header:
            print(" ".join(name.ljust(width) for name, width in zip(names, widths)))
        print(" ".join(text.ljust(width) for text, width in zip(row, widths)))
        return
    from rich.table import Table

    table = Table(show_header=print_header, padding=0)
    for name, width in zip(names, widths):
        table.add_column(name, width=width, overflow="fold")
    table.add_row(*row)
    console.print(table)


def _shown(value):
    if value is None:
        return "---"
    if isinstance(value, str):
        return value
    if is_array(value):
        return np.array2string(np.round(value, 3), threshold=4)
    return "---" if value != value else f"{round(float(value), 3):g}"


def print_reload(experiment_dir):
    """Print which log is gone on with."""
    _table(None, [("goes on with", str(experiment_dir))])


def print_storage(
    fig_path=None, extra_path=None, init_model_path=None, final_model_path=None, every_k_model_path=None, top_k_model_path=None, print_first=False
):
    """Print what was stored with an update."""
    rows = [("figure", fig_path), ("extra", extra_path)]
    if print_first:
        rows += [("first model", init_model_path), ("last model", final_model_path)]
    rows += [("each k-th", _last(every_k_model_path)), ("k best", _last(top_k_model_path))]
    rows = [(name, str(path)) for name, path in rows if path]
    if rows:
        _table(None, rows)


def _last(paths):
    return paths if isinstance(paths, str) else (paths[-1] if paths else None)


__all__ = ["BUILT_IN", "print_reload", "print_startup", "print_storage", "print_update", "print_welcome"]
