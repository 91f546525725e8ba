"""Figures."""


def visualize_2D_grid(
    hyper_df,
    fixed_params=None,
    params_to_plot=[],
    target_to_plot="objective",
    plot_title="Temp Title",
    plot_subtitle=None,
    xy_labels=["x-label", "y-label"],
    variable_name="Performance",
    every_nth_tick=1,
    plot_colorbar=True,
    text_in_cell=False,
    max_heat=None,
    min_heat=None,
    norm_cols=False,
    norm_rows=False,
    return_array=False,
    round_ticks=1,
    fig=None,
    ax=None,
    figsize=(10, 8),
    cmap="magma",
    fname=None,
):
    """Draw a value over two parameters.

    Parameters
    ----------
    hyper_df : pandas.DataFrame
        A row an evaluation. The mean is drawn where there are several of a cell; cells without one stay empty.
    fixed_params : dict, optional
        Rows that have these values are taken.
    params_to_plot : [str, str]
        Along x and y.
    norm_cols, norm_rows : bool
        Scale each column, or row, to [0, 1].
    return_array : bool
        Return `(heat (y values, x values), x values, y values)` instead.

    Returns
    -------
    (Figure, Axes), or None when it was saved as `fname`.
    """
    import numpy as np

    if len(params_to_plot) != 2:
        raise AssertionError(f"a grid is drawn over two parameters, not over {len(params_to_plot)}")
    for name, value in (fixed_params or {}).items():
        hyper_df = hyper_df[hyper_df[name] == value]
    if not len(hyper_df):
        raise ValueError(f"there is nothing to draw with {fixed_params}")
    across, up = params_to_plot
    cells = hyper_df.groupby([up, across])[target_to_plot].mean().unstack()
    heat, range_x, range_y = cells.to_numpy(dtype="float64"), np.array(cells.columns), np.array(cells.index)
    for wanted, axis in ((norm_cols, 0), (norm_rows, 1)):
        if wanted:
            low, high = np.nanmin(heat, axis=axis, keepdims=True), np.nanmax(heat, axis=axis, keepdims=True)
            heat = (heat - low) / np.where(high > low, high - low, 1.0)
    if return_array:
        return heat, range_x, range_y

    import matplotlib.pyplot as plt

    if ax is None:
        fig, ax = plt.subplots(figsize=figsize)
    elif fig is None:
        fig = ax.figure
    image = ax.imshow(heat, origin="lower", aspect="auto", cmap=cmap, vmin=min_heat, vmax=max_heat)
    for axis, values in ((ax.xaxis, range_x), (ax.yaxis, range_y)):
        places = range(0, len(values), every_nth_tick)
        axis.set_ticks(list(places))
        axis.set_ticklabels([_label(values[at], round_ticks) for at in places])
    if text_in_cell:
        for (row, column), value in np.ndenumerate(heat):
            if value == value:
                ax.text(column, row, f"{value:.3g}", ha="center", va="center", color="white")
    if plot_colorbar:
        fig.colorbar(image, ax=ax).set_label(variable_name)
    ax.set_title(plot_title if plot_subtitle is None else f"{plot_title}\n{plot_subtitle}")
    ax.set_xlabel(xy_labels[0])
    ax.set_ylabel(xy_labels[1])
    fig.tight_layout()
    if fname is None:
        return fig, ax
    fig.savefig(fname, dpi=300)
    return None


def _label(value, digits):
    """Return a value as a tick: rounded, unless nothing would be left of it."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return str(value)
    rounded = round(float(value), digits)
    return f"{rounded:g}" if rounded or not value else f"{float(value):.2g}"


def plot_best_over_evals(values, maximize):
    """Draw the best value so far over evaluations; return `(Figure, Axes)`."""
    import matplotlib.pyplot as plt
    import numpy as np

    values = np.asarray(values, dtype="float64")
    best = (np.fmax if maximize else np.fmin).accumulate(values)
    fig, ax = plt.subplots(figsize=(9, 6))
    at = np.arange(1, len(values) + 1)
    ax.plot(at, values, "o", alpha=0.35, label="Evaluated")
    ax.plot(at, best, lw=3, label="Best so far")
    ax.set_xlabel("# Evaluations")
    ax.set_ylabel("Objective")
    ax.set_title("Best Objective Value")
    ax.legend()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    fig.tight_layout()
    return fig, ax
