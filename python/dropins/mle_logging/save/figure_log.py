"""Figures."""

from ._files import FileLog


class FigureLog(FileLog):
    """Figures as PNG in `figures/`.

    Attributes
    ----------
    fig_storage_paths : list of str
    fig_save_counter : int
    figures_dir : str
    """

    folder = "figures/"
    kind = "figure"
    stem = "fig"
    suffix = ".png"

    @property
    def fig_storage_paths(self):
        return self.paths

    @property
    def fig_save_counter(self):
        return self.counter

    @property
    def figures_dir(self):
        return self.directory

    def save(self, fig, fig_fname=None, step=None):
        """Store a figure of matplotlib; return the path."""
        return self.store(fig_fname, lambda path: fig.savefig(path, dpi=300), step)
