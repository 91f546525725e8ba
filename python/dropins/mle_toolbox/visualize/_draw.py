"""Drawing arrays."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import numpy as np


def axes(fig: Any, ax: Any, figsize: Tuple[float, float]) -> Tuple[Any, Any]:
    """Return figure and axes, new ones where none are given."""
    import matplotlib.pyplot as plt

    if ax is None:
        fig = fig if fig is not None else plt.figure(figsize=figsize)
        return fig, fig.add_subplot()
    return fig if fig is not None else ax.figure, ax


def finish(fig: Any, ax: Any, fname: Optional[str]) -> Any:
    """Return figure and axes, or save the figure at 300 dots an inch and return None."""
    if fname is None:
        return fig, ax
    import matplotlib.pyplot as plt

    fig.savefig(fname, dpi=300, bbox_inches="tight")
    plt.close(fig)
    return None


def tick(value: Any, digits: int) -> str:
    """Return a tick's label; numbers are rounded, small ones shown with an exponent."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return str(value)
    rounded = round(float(value), digits)
    return f"{value:.{digits}e}" if rounded == 0 and value != 0 else str(rounded)


def _labels(ax: Any, title: str, xy: Optional[Sequence[str]]) -> None:
    ax.set_title(title or "")
    if xy is not None:
        ax.set_xlabel(xy[0])
        ax.set_ylabel(xy[1])
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _ticks(ax: Any, names: Sequence[Any], every: int, digits: int) -> None:
    places = list(range(0, len(names), max(1, every)))
    ax.set_xticks(places)
    ax.set_xticklabels([tick(names[place], digits) for place in places])


def plot_1D_bar(
    param_array: Sequence[Any],
    target_array: Sequence[float],
    fig: Any = None,
    ax: Any = None,
    plot_title: str = "",
    xy_labels: Optional[Sequence[str]] = None,
    every_nth_tick: int = 1,
    ymin: Optional[float] = None,
    ymax: Optional[float] = None,
    round_ticks: int = 1,
    hline: Optional[float] = None,
    figsize: Tuple[float, float] = (9, 6),
) -> Tuple[Any, Any]:
    """Draw a bar for each value of a parameter; `hline` is a dashed line to compare with."""
    fig, ax = axes(fig, ax, figsize)
    ax.bar(range(len(param_array)), target_array)
    _ticks(ax, param_array, every_nth_tick, round_ticks)
    if ymin is not None or ymax is not None:
        ax.set_ylim(ymin, ymax)
    if hline is not None:
        ax.axhline(hline, color="red", linestyle="--")
    _labels(ax, plot_title, xy_labels)
    return fig, ax


def plot_1D_line(
    param_array: Sequence[Any],
    target_array: Sequence[float],
    fig: Any = None,
    ax: Any = None,
    plot_title: str = "",
    xy_labels: Optional[Sequence[str]] = None,
    every_nth_tick: int = 1,
    ylims: Optional[Sequence[float]] = None,
    round_ticks: int = 1,
    hline: Optional[float] = None,
    labels: Optional[str] = None,
    figsize: Tuple[float, float] = (9, 6),
) -> Tuple[Any, Any]:
    """Draw a line with a dot for each value of a parameter; with `labels` it is named in a legend."""
    fig, ax = axes(fig, ax, figsize)
    ax.plot(range(len(param_array)), target_array, marker="o", label=labels)
    if labels is not None:
        ax.legend()
    _ticks(ax, param_array, every_nth_tick, round_ticks)
    if ylims is not None:
        ax.set_ylim(*ylims)
    if hline is not None:
        ax.axhline(hline, color="red", linestyle="--")
    _labels(ax, plot_title, xy_labels)
    return fig, ax


def heat(
    values: Any,
    rows: Sequence[Any],
    columns: Sequence[Any],
    title: str,
    subtitle: str,
    xy_labels: Sequence[str],
    variable_name: str,
    every_nth_tick: int = 1,
    plot_colorbar: bool = True,
    text: bool = False,
    vmin: Optional[float] = None,
    vmax: Optional[float] = None,
    round_ticks: int = 1,
    cmap: str = "magma_r",
    interpolation: Optional[str] = None,
    fig: Any = None,
    ax: Any = None,
    figsize: Tuple[float, float] = (10, 8),
    flip: bool = False,
) -> Tuple[Any, Any]:
    """Draw a matrix; with `flip` its first row is at the bottom."""
    fig, ax = axes(fig, ax, figsize)
    image = ax.imshow(
        values, cmap=cmap, vmin=vmin, vmax=vmax, interpolation=interpolation, aspect="auto",
        origin="lower" if flip else "upper",
    )  # fmt: skip
    every = max(1, every_nth_tick)
    ax.set_xticks(range(0, len(columns), every))
    ax.set_xticklabels([tick(one, round_ticks) for one in list(columns)[::every]], rotation=45, ha="right")
    ax.set_yticks(range(0, len(rows), every))
    ax.set_yticklabels([tick(one, round_ticks) for one in list(rows)[::every]])
    if text:
        middle = np.nanmean(values) if np.isfinite(values).any() else 0.0
        for at in range(len(rows)):
            for other in range(len(columns)):
                value = values[at][other]
                if np.isfinite(value):
                    colour = "white" if (value > middle) == cmap.endswith("_r") else "black"
                    ax.text(other, at, f"{value:.3g}", ha="center", va="center", color=colour, fontsize="small")
    if plot_colorbar:
        fig.colorbar(image, ax=ax, label=variable_name)
    ax.set_title("\n".join(part for part in (title, subtitle) if part))
    ax.set_xlabel(xy_labels[0])
    ax.set_ylabel(xy_labels[1])
    return fig, ax


def plot_2D_heatmap(
    range_x: Sequence[Any],
    range_y: Sequence[Any],
    heat_array: Any,
    title: str = "",
    subtitle: str = "",
    xy_labels: Sequence[str] = ("", ""),
    variable_name: str = "",
    every_nth_tick: int = 1,
    plot_colorbar: bool = True,
    text_in_cell: bool = False,
    max_heat: Optional[float] = None,
    min_heat: Optional[float] = None,
    round_ticks: int = 1,
    fig: Any = None,
    ax: Any = None,
    figsize: Tuple[float, float] = (10, 8),
    cmap: str = "magma_r",
    interpolation: Optional[str] = None,
    plot_xlabel: bool = True,
    plot_ylabel: bool = True,
    shared_colorbar: bool = False,
) -> Tuple[Any, Any]:
    """Draw a matrix (len(range_y), len(range_x)); the first values are at the bottom left."""
    xy_labels = [xy_labels[0] if plot_xlabel else "", xy_labels[1] if plot_ylabel else ""]
    return heat(
        np.asarray(heat_array, dtype="float64"), range_y, range_x, title, subtitle, xy_labels, variable_name,
        every_nth_tick, plot_colorbar and not shared_colorbar, text_in_cell, min_heat, max_heat, round_ticks, cmap, interpolation, fig, ax, figsize,
        flip=True,
    )  # fmt: skip
