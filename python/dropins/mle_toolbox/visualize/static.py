"""Figures of results."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Sequence, Tuple

import numpy as np

from ._draw import axes, finish, plot_1D_bar, plot_1D_line, plot_2D_heatmap


def _fixed(hyper_df: Any, fixed_params: Optional[Mapping[str, Any]]) -> Any:
    found = getattr(hyper_df, "hyper_log", hyper_df)
    for name, value in (fixed_params or {}).items():
        found = found[found[name] == value]
    if not len(found):
        raise ValueError(f"no eval has {dict(fixed_params or {})}")
    return found


def _column(hyper_df: Any, fixed_params: Optional[Mapping[str, Any]], param: str, target: str) -> Tuple[list, np.ndarray]:
    """Return the values of a parameter in order, and the mean of the metric at each."""
    # Several evals may have one value: a random search, or repeats.
    means = _fixed(hyper_df, fixed_params).groupby(param, sort=True)[target].mean()
    return means.index.tolist(), means.to_numpy(dtype="float64")


def visualize_1D_bar(
    hyper_df: Any,
    fixed_params: Optional[Mapping[str, Any]] = None,
    param_to_plot: str = "l_rate",
    target_to_plot: str = "ep_reward",
    plot_title: str = "Temp Title",
    xy_labels: Optional[Sequence[str]] = None,
    every_nth_tick: int = 1,
    ymin: Optional[float] = None,
    ymax: Optional[float] = None,
    round_ticks: int = 1,
    fig: Any = None,
    ax: Any = None,
    figsize: Tuple[float, float] = (9, 6),
    hline: Optional[float] = None,
    fname: Optional[str] = None,
) -> Any:
    """Draw a bar of a metric for each value of a parameter, the others fixed; return figure and axes, or save it."""
    names, means = _column(hyper_df, fixed_params, param_to_plot, target_to_plot)
    labels = xy_labels if xy_labels is not None else [param_to_plot, target_to_plot]
    fig, ax = plot_1D_bar(
        names, means, fig, ax, plot_title, labels, every_nth_tick, ymin, ymax, round_ticks, hline, figsize
    )
    return finish(fig, ax, fname)


def visualize_1D_line(
    hyper_df: Any,
    fixed_params: Optional[Mapping[str, Any]] = None,
    param_to_plot: str = "l_rate",
    target_to_plot: str = "ep_reward",
    plot_title: str = "Temp Title",
    xy_labels: Optional[Sequence[str]] = None,
    every_nth_tick: int = 1,
    ylims: Optional[Sequence[float]] = None,
    round_ticks: int = 1,
    figsize: Tuple[float, float] = (9, 6),
    hline: Optional[float] = None,
    fig: Any = None,
    ax: Any = None,
    fname: Optional[str] = None,
) -> Any:
    """Draw a line of a metric over the values of a parameter, the others fixed; return figure and axes, or save it."""
    names, means = _column(hyper_df, fixed_params, param_to_plot, target_to_plot)
    labels = xy_labels if xy_labels is not None else [param_to_plot, target_to_plot]
    fig, ax = plot_1D_line(
        names, means, fig, ax, plot_title, labels, every_nth_tick, ylims, round_ticks, hline, figsize=figsize
    )
    return finish(fig, ax, fname)


def moving_smooth_ts(ts: Any, window_size: int = 20) -> Tuple[np.ndarray, np.ndarray]:
    """Return the mean and the deviation (of the sample) of the last `window_size` points up to each; NaN is left out."""
    values = np.ma.filled(np.ma.asarray(ts, dtype="float64"), np.nan)
    mean, deviation = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for at in range(len(values)):
        window = values[max(0, at + 1 - max(1, window_size)) : at + 1]
        window = window[~np.isnan(window)]
        if len(window):
            mean[at] = window.mean()
        if len(window) > 1:
            deviation[at] = window.std(ddof=1)
    return mean, deviation


def _natural(name: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", str(name)) if part]


def _first(column: Any) -> np.ndarray:
    values = np.ma.filled(np.ma.asarray(column, dtype="float64"), np.nan)
    return values.reshape(len(values), -1)[:, 0]


def visualize_1D_lcurves(
    main_log: Any,
    iter_to_plot: str = "num_episodes",
    target_to_plot: str = "ep_reward",
    smooth_window: int = 20,
    plot_title: Optional[str] = None,
    xy_labels: Optional[Sequence[str]] = None,
    base_label: str = "{}",
    curve_labels: Sequence[str] = (),
    every_nth_tick: Optional[int] = None,
    plot_std_bar: bool = False,
    run_ids: Optional[Sequence[str]] = None,
    rgb_tuples: Optional[Sequence[Any]] = None,
    num_legend_cols: int = 1,
    fig: Any = None,
    ax: Any = None,
    figsize: Tuple[float, float] = (9, 6),
    fname: Optional[str] = None,
    plot_legend: bool = True,
    plot_xlabel: bool = True,
    plot_ylabel: bool = True,
    plot_ste_bar: bool = False,
) -> Any:
    """Draw a metric over a clock, a line for each run.

    Parameters
    ----------
    main_log : mle_logging.MetaLog
        Aggregated over seeds, or of single seeds.
    smooth_window : int
        Points whose mean a point is.
    plot_std_bar, plot_ste_bar : bool
        A band of a deviation over seeds, or of 1.96 of their mean's standard errors.

    Returns
    -------
    figure and axes, or None when it is saved as `fname`
    """
    import matplotlib

    fig, ax = axes(fig, ax, figsize)
    names = sorted(run_ids if run_ids is not None else main_log.eval_ids, key=_natural)
    colours = rgb_tuples
    if colours is None:
        shades = matplotlib.colormaps["coolwarm"]
        colours = [shades(at / max(1, len(names) - 1)) for at in range(len(names))]
    longest = np.array([])
    for at, name in enumerate(names):
        log = main_log[name]
        found, clock = log["stats"][target_to_plot], _first(log["time"][iter_to_plot])
        aggregated = isinstance(found, Mapping)
        mean, _ = moving_smooth_ts(_first(found["mean"] if aggregated else found), smooth_window)
        clock = clock[: len(mean)]
        longest = clock if len(clock) > len(longest) else longest
        label = curve_labels[at] if len(curve_labels) else name
        ax.plot(clock, mean[: len(clock)], color=colours[at], label=base_label.format(label), alpha=0.85)
        if aggregated and (plot_std_bar or plot_ste_bar):
            band, _ = moving_smooth_ts(_first(found["std"]), smooth_window)
            if plot_ste_bar:
                seeds = log["meta"]["seeds"] if "seeds" in log["meta"] else [0]
                band = 1.96 * band / np.sqrt(max(1, len(seeds)))
            ax.fill_between(clock, (mean - band)[: len(clock)], (mean + band)[: len(clock)], color=colours[at], alpha=0.25)
    if every_nth_tick is not None and len(longest):
        ax.set_xticks(longest[:: max(1, every_nth_tick)])
    if plot_legend and 1 <= len(names) < 20:
        ax.legend(ncol=num_legend_cols, fontsize="small")
    ax.set_title(plot_title if plot_title is not None else str(target_to_plot))
    labels = xy_labels if xy_labels is not None else [iter_to_plot, target_to_plot]
    if plot_xlabel:
        ax.set_xlabel(labels[0])
    if plot_ylabel:
        ax.set_ylabel(labels[1])
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return finish(fig, ax, fname)


def visualize_2D_grid(
    hyper_df: Any,
    fixed_params: Optional[Mapping[str, Any]] = None,
    params_to_plot: Sequence[str] = (),
    target_to_plot: str = "ep_reward",
    plot_title: str = "Temp Title",
    plot_subtitle: Optional[str] = None,
    xy_labels: Optional[Sequence[str]] = None,
    variable_name: Optional[str] = None,
    every_nth_tick: int = 1,
    plot_colorbar: bool = True,
    text_in_cell: bool = False,
    max_heat: Optional[float] = None,
    min_heat: Optional[float] = None,
    norm_cols: bool = False,
    norm_rows: bool = False,
    return_array: bool = False,
    round_ticks: int = 1,
    fig: Any = None,
    ax: Any = None,
    figsize: Tuple[float, float] = (10, 8),
    cmap: str = "magma_r",
    fname: Optional[str] = None,
    interpolation: Optional[str] = None,
    plot_xlabel: bool = True,
    plot_ylabel: bool = True,
    shared_colorbar: bool = False,
) -> Any:
    """Draw a metric over two parameters, the first to the right, small values at the bottom left, the others fixed.

    Where several evals have the same values it is their mean; where none has it is empty.

    Returns
    -------
    figure and axes; None when it is saved; (array, first values, second values) with `return_array`
    """
    if len(params_to_plot) != 2:
        raise ValueError(f"params_to_plot {list(params_to_plot)} are not two parameters")
    across, up = params_to_plot
    table = _fixed(hyper_df, fixed_params).pivot_table(index=up, columns=across, values=target_to_plot, aggfunc="mean")
    table = table.sort_index(axis=0).sort_index(axis=1)
    values = table.to_numpy(dtype="float64")
    if norm_cols or norm_rows:
        values = _norm(values, 0 if norm_cols else 1)
    range_x, range_y = table.columns.tolist(), table.index.tolist()
    if return_array:
        return values, range_x, range_y
    labels = list(xy_labels) if xy_labels is not None else [across, up]
    labels = [labels[0] if plot_xlabel else "", labels[1] if plot_ylabel else ""]
    fig, ax = plot_2D_heatmap(
        range_x, range_y, values, plot_title, plot_subtitle or "", labels,
        variable_name if variable_name is not None else target_to_plot, every_nth_tick,
        plot_colorbar and not shared_colorbar, text_in_cell, max_heat, min_heat, round_ticks, fig, ax, figsize, cmap,
        interpolation,
    )  # fmt: skip
    return finish(fig, ax, fname)


def _norm(values: np.ndarray, axis: int) -> np.ndarray:
    low = np.nanmin(values, axis=axis, keepdims=True)
    spread = np.nanmax(values, axis=axis, keepdims=True) - low
    return (values - low) / np.where(spread > 0, spread, 1)


