"""Figures of what was logged."""

from .helpers import moving_smooth_ts, tokenize


def visualize_1D_lcurves(
    main_log,
    iter_to_plot="num_updates",
    target_to_plot="loss",
    smooth_window=1,
    plot_title=None,
    xy_labels=None,
    base_label="{}",
    curve_labels=[],
    every_nth_tick=None,
    plot_std_bar=False,
    run_ids=None,
    rgb_tuples=None,
    num_legend_cols=1,
    fig=None,
    ax=None,
    figsize=(9, 6),
    plot_labels=True,
    legend_title=None,
    ax_lims=None,
):
    """Draw statistics over a clock, a curve for each run, seed and statistic.

    Parameters
    ----------
    main_log : dict
        `{run: log}` or `{run: {seed: log}}`; it stays as it is.
    iter_to_plot : str
        A clock.
    target_to_plot : str or list of str
        Statistics; of aggregated ones the mean is drawn, of vectors the first component.
    smooth_window : int
        Values that a moving average is over.
    plot_std_bar : bool
        Shade a standard deviation around means.
    run_ids : list of str, optional
        Which runs [default: all].
    every_nth_tick : int, optional
        Ticks at each n-th point [default: five over the whole range].
    ax_lims : (float, float), optional
        Of the y axis.

    Returns
    -------
    (Figure, Axes)
    """
    import matplotlib.pyplot as plt
    import numpy as np

    targets = [target_to_plot] if isinstance(target_to_plot, str) else list(target_to_plot)
    curves = list(_curves(main_log, sorted(run_ids or main_log, key=tokenize), targets, iter_to_plot))
    if not curves:
        raise ValueError(f"no run has {' or '.join(targets)} over {iter_to_plot}")
    if ax is None:
        fig, ax = plt.subplots(figsize=figsize)
    elif fig is None:
        fig = ax.figure
    colours = rgb_tuples or plt.get_cmap("coolwarm")(np.linspace(0, 1, len(curves)))
    longest = np.array([])
    for at, (label, clock, values) in enumerate(curves):
        label = base_label.format(curve_labels[at] if at < len(curve_labels) else label)
        mean = values["mean"] if isinstance(values, dict) else values
        mean, width = _first(mean), min(len(_first(mean)), len(clock))
        clock, mean = np.asarray(clock)[:width], moving_smooth_ts(mean, smooth_window)[0][:width]
        ax.plot(clock, mean, color=colours[at], label=label, lw=3, alpha=0.85)
        if plot_std_bar and isinstance(values, dict):
            std = moving_smooth_ts(_first(values["std"]), smooth_window)[0][:width]
            ax.fill_between(clock, mean - std, mean + std, color=colours[at], alpha=0.25)
        if len(clock) > len(longest):
            longest = clock
    if longest.dtype.kind in "biuf" and len(longest):
        places = np.unique(np.linspace(0, len(longest) - 1, 5).astype(int))
        ax.set_xticks(longest[::every_nth_tick] if every_nth_tick else longest[places])
    ax.spines["top"].set_visible(False)
    ax.spines["right"].set_visible(False)
    ax.set_title(plot_title if plot_title is not None else ", ".join(targets))
    across, up = xy_labels or (iter_to_plot, ", ".join(targets))
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    if ax_lims is not None:
        ax.set_ylim(*ax_lims)
    if plot_labels and len(curves) > 1:
        ax.legend(ncol=num_legend_cols, title=legend_title)
    fig.tight_layout()
    return fig, ax


def _first(values):
    import numpy as np

    values = np.asarray(values)
    return values.reshape(len(values), -1)[:, 0] if values.ndim > 1 else values


def _curves(main_log, runs, targets, clock):
    """Yield label, clock and values of each curve."""
    for run in runs:
        group = main_log[run]
        single = set(group) <= {"meta", "stats", "time"}
        for seed, log in [("", group)] if single else group.items():
            for target in targets:
                if target in log.get("stats", {}) and clock in log.get("time", {}):
                    label = run if len(targets) == 1 else f"{target}: {run}"
                    yield f"{label}/{seed}" if seed else label, log["time"][clock], log["stats"][target]
