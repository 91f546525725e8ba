"""Animations, saved as GIF by Pillow, which comes with matplotlib."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Tuple

import numpy as np


def _animation(fig: Any, frames: int, draw: Callable[[int], Any], interval: int, fps: int, fname: str, direct_save: bool) -> Any:
    """Return the animation, or save it and return None."""
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation, PillowWriter

    found = FuncAnimation(fig, draw, frames=frames, interval=interval, blit=False)
    if not direct_save:
        return found
    found.save(fname, writer=PillowWriter(fps=fps))
    plt.close(fig)
    return None


def _checked(data: Any, rank: int) -> np.ndarray:
    values = np.asarray(data, dtype="float64")
    if values.ndim != rank or not len(values):
        raise ValueError(f"data has the shape {values.shape}; it needs {rank} axes, the first of them time")
    return values


def _limits(values: np.ndarray) -> Tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    gap = 0.05 * (high - low) or 1.0
    return low - gap, high + gap


def animate_1D_lines(
    data: Any,
    dt: float = 1,
    line_labels: Optional[Sequence[str]] = None,
    base_label: str = "{}",
    ylabel: str = "y-Axis",
    xlabel: str = "x-Axis",
    title: str = "Animated Lines",
    interval: int = 100,
    fps: int = 60,
    fname: str = "test_anim.gif",
    direct_save: bool = True,
) -> Any:
    """Animate lines that grow: data (n_times, n_lines), `dt` time between rows."""
    import matplotlib.pyplot as plt

    values = _checked(data, 2)
    times = dt * np.arange(len(values))
    fig, ax = plt.subplots(figsize=(7, 5))
    names = line_labels if line_labels is not None else range(1, values.shape[1] + 1)
    lines = [ax.plot([], [], label=base_label.format(name))[0] for name in names]
    ax.set_xlim(0, max(times[-1], dt))
    ax.set_ylim(*_limits(values))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend()

    def draw(at: int) -> Any:
        for line, column in zip(lines, values.T):
            line.set_data(times[: at + 1], column[: at + 1])
        return lines

    return _animation(fig, len(values), draw, interval, fps, fname, direct_save)


def animate_2D_grid(
    data: Any,
    var_name: str = "",
    dt: float = 1,
    ylabel: str = "y-Axis",
    xlabel: str = "x-Axis",
    range_y: Optional[Sequence[Any]] = None,
    range_x: Optional[Sequence[Any]] = None,
    every_nth: int = 1,
    round_ticks: int = 1,
    vmin: Optional[float] = None,
    vmax: Optional[float] = None,
    title: str = "Animated Grid",
    time_pre_str: str = "t=",
    interval: int = 100,
    fps: int = 60,
    fname: str = "test_anim.gif",
    direct_save: bool = True,
    no_axis_ticks: bool = False,
    cmap: str = "magma",
    interpolation: Optional[str] = None,
) -> Any:
    """Animate a matrix: data (n_times, n_rows, n_columns)."""
    import matplotlib.pyplot as plt

    from ._draw import tick

    values = _checked(data, 3)
    fig, ax = plt.subplots(figsize=(7, 6))
    low = float(np.nanmin(values)) if vmin is None else vmin
    high = float(np.nanmax(values)) if vmax is None else vmax
    image = ax.imshow(values[0], cmap=cmap, vmin=low, vmax=high, interpolation=interpolation)
    fig.colorbar(image, ax=ax, label=var_name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    every = max(1, every_nth)
    if no_axis_ticks:
        ax.set_xticks([])
        ax.set_yticks([])
    else:
        if range_x is not None:
            ax.set_xticks(range(0, len(range_x), every))
            ax.set_xticklabels([tick(one, round_ticks) for one in list(range_x)[::every]])
        if range_y is not None:
            ax.set_yticks(range(0, len(range_y), every))
            ax.set_yticklabels([tick(one, round_ticks) for one in list(range_y)[::every]])

    def draw(at: int) -> Any:
        image.set_data(values[at])
        ax.set_title(f"{title} {time_pre_str}{dt * at:g}")
        return [image]

    return _animation(fig, len(values), draw, interval, fps, fname, direct_save)


def animate_2D_scatter(
    data: Any,
    dt: float = 1,
    ylabel: str = "y-Axis",
    xlabel: str = "x-Axis",
    title: str = "Animated Scatter",
    no_axis: bool = False,
    interval: int = 100,
    fps: int = 60,
    fname: str = "test_anim.gif",
    direct_save: bool = True,
    time_pre_str: str = "t=",
) -> Any:
    """Animate points in a plane: data (n_times, n_points, 2). Both axes are from -7.5 to 7.5, and further when points are."""
    import matplotlib.pyplot as plt

    values = _checked(data, 3)
    fig, ax = plt.subplots(figsize=(6, 6))
    far = max(7.5, float(np.nanmax(np.abs(values))) * 1.05)
    ax.set(xlim=(-far, far), ylim=(-far, far), xlabel=xlabel, ylabel=ylabel)
    if no_axis:
        ax.axis("off")
    points = ax.scatter(*values[0].T)

    def draw(at: int) -> Any:
        points.set_offsets(values[at])
        ax.set_title(f"{title} {time_pre_str}{dt * at:g}")
        return [points]

    return _animation(fig, len(values), draw, interval, fps, fname, direct_save)


def animate_3D_scatter(
    data: Any,
    dt: float = 1,
    ylabel: str = "y-Axis",
    xlabel: str = "x-Axis",
    zlabel: str = "z-Axis",
    title: str = "Animated Scatter",
    no_axis: bool = False,
    interval: int = 100,
    fps: int = 60,
    fname: str = "test_anim.gif",
    direct_save: bool = True,
    time_pre_str: str = "t=",
) -> Any:
    """Animate points in space: data (n_times, n_points, 3)."""
    import matplotlib.pyplot as plt

    values = _checked(data, 3)
    fig = plt.figure(figsize=(6, 6))
    ax = fig.add_subplot(projection="3d")
    limits = [_limits(values[:, :, at]) for at in range(3)]

    def draw(at: int) -> Any:
        ax.clear()
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
        ax.set_zlim(*limits[2])
        ax.set(xlabel=xlabel, ylabel=ylabel, zlabel=zlabel, title=f"{title} {time_pre_str}{dt * at:g}")
        if no_axis:
            ax.set_axis_off()
        return [ax.scatter(*values[at].T)]

    return _animation(fig, len(values), draw, interval, fps, fname, direct_save)


def animate_3D_surface(
    x: Any,
    y: Any,
    data: Any,
    dt: float = 1,
    ylabel: str = "y-Axis",
    xlabel: str = "x-Axis",
    zlabel: str = "z-Axis",
    title: str = "Animated Surface",
    no_axis: bool = False,
    interval: int = 100,
    fps: int = 60,
    cmap: str = "magma",
    fname: str = "test_anim.gif",
    direct_save: bool = True,
    time_pre_str: str = "t=",
) -> Any:
    """Animate a surface: data (n_times, n_rows, n_columns) over x and y, each of that grid or of its side."""
    import matplotlib.pyplot as plt

    values = _checked(data, 3)
    across, up = np.asarray(x, dtype="float64"), np.asarray(y, dtype="float64")
    if across.ndim == 1 and up.ndim == 1:
        across, up = np.meshgrid(across, up)
    fig = plt.figure(figsize=(6, 6))
    ax = fig.add_subplot(projection="3d")
    low, high = _limits(values)

    def draw(at: int) -> Any:
        ax.clear()
        ax.set_zlim(low, high)
        ax.set(xlabel=xlabel, ylabel=ylabel, zlabel=zlabel, title=f"{title} {time_pre_str}{dt * at:g}")
        if no_axis:
            ax.set_axis_off()
        return [ax.plot_surface(across, up, values[at], cmap=cmap, vmin=low, vmax=high)]

    return _animation(fig, len(values), draw, interval, fps, fname, direct_save)
