"""Several logs that are looked at together."""

from ._dict import AttributeDict
from ._hdf5 import decode_log
from .utils.visualize import visualize_1D_lcurves


class MetaLog:
    """Logs of several runs or seeds.

    Attributes
    ----------
    meta_log : dict
        The logs by name; each is an attribute as well.
    eval_ids : list of str
    num_configs : int
    meta_vars, stats_vars, time_vars : list of str
        Names of what any of the logs has.
    """

    def __init__(self, meta_log, non_aggregated=False):
        self.meta_log = meta_log if isinstance(meta_log, AttributeDict) else AttributeDict(meta_log)
        self.non_aggregated = non_aggregated
        names = {"meta": {}, "stats": {}, "time": {}}
        for log in self._logs():
            for group, found in names.items():
                found.update(dict.fromkeys(log.get(group, {})))
        self.meta_vars, self.stats_vars, self.time_vars = (sorted(names[group]) for group in ("meta", "stats", "time"))
        self.num_configs = len(self.meta_log)

    def _logs(self):
        for group in self.meta_log.values():
            if set(group) <= {"meta", "stats", "time"}:
                yield group
            else:
                yield from group.values()

    def __getattr__(self, name):
        # Asked for only where there is no such member: a run called "plot" hides no method.
        log = self.__dict__.get("meta_log")
        if log is None or name not in log:
            raise AttributeError(f"there is no run or seed {name!r} among {', '.join(log or ())}")
        return log[name]

    def __dir__(self):
        return [*super().__dir__(), *self.meta_log]

    @property
    def eval_ids(self):
        """The names of the runs or seeds."""
        return list(self.meta_log)

    def __len__(self):
        return self.num_configs

    def __getitem__(self, name):
        return self.meta_log[name]

    def __iter__(self):
        return iter(self.meta_log)

    def __contains__(self, name):
        return name in self.meta_log

    def __repr__(self):
        return f"<MetaLog of {', '.join(self.meta_log)}>"

    def filter(self, run_ids):
        """Return a `MetaLog` of these runs, in this order."""
        return MetaLog(subselect_meta_log(self.meta_log, run_ids), self.non_aggregated)

    def plot(
        self,
        target_to_plot,
        iter_to_plot=None,
        smooth_window=1,
        plot_title=None,
        xy_labels=None,
        base_label="{}",
        run_ids=None,
        curve_labels=[],
        every_nth_tick=None,
        plot_std_bar=False,
        fname=None,
        num_legend_cols=1,
        fig=None,
        ax=None,
        figsize=(9, 6),
        plot_labels=True,
        legend_title=None,
        ax_lims=None,
    ):
        """Draw statistics over a clock; see `visualize_1D_lcurves`.

        Returns
        -------
        (Figure, Axes), or None when it was saved as `fname`.
        """
        if iter_to_plot is None:
            iter_to_plot = "num_updates" if "num_updates" in self.time_vars else self.time_vars[0]
        if iter_to_plot not in self.time_vars:
            raise AssertionError(f"there is no clock {iter_to_plot!r} among {', '.join(self.time_vars)}")
        fig, ax = visualize_1D_lcurves(
            self.meta_log,
            iter_to_plot,
            target_to_plot,
            smooth_window=smooth_window,
            plot_title=plot_title,
            xy_labels=xy_labels,
            base_label=base_label,
            curve_labels=curve_labels,
            every_nth_tick=every_nth_tick,
            plot_std_bar=plot_std_bar,
            run_ids=run_ids,
            num_legend_cols=num_legend_cols,
            fig=fig,
            ax=ax,
            figsize=figsize,
            plot_labels=plot_labels,
            legend_title=legend_title,
            ax_lims=ax_lims,
        )
        if fname is None:
            return fig, ax
        fig.savefig(fname, dpi=300, bbox_inches="tight")
        return None


def subselect_meta_log(meta_log, run_ids):
    """Return the logs of these runs, in this order."""
    missing = [run for run in run_ids if run not in meta_log]
    if missing:
        raise KeyError(f"there is no run {', '.join(map(str, missing))} among {', '.join(meta_log)}")
    return AttributeDict({run: meta_log[run] for run in run_ids})


def decode_meta_strings(log):
    """Return a log with texts for bytes in its `meta`."""
    return AttributeDict({**log, "meta": decode_log({"meta": log["meta"]})["meta"]})
