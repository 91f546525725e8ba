"""Grid search."""

from ..spaces import GridSpace
from ..utils import comms
from ..utils.visualize import visualize_2D_grid
from ._batch import PointStrategy


class GridSearch(PointStrategy):
    """All points of a grid, in order: names by the alphabet, the last one fastest.

    Asking twice without telling repeats points that were not told; when all were told asks return nothing.
    """

    search_name = "Grid Search"
    space_class = GridSpace

    def setup_search(self):
        self._next = 0

    @property
    def num_param_configs(self):
        """The number of points."""
        return len(self.space)

    @property
    def grid_counter(self):
        return self.eval_counter

    def ask_search(self, batch_size):
        # What is told stays so: points before the first that is not told need not be looked at again.
        while self._next < len(self.space) and self.was_evaluated(self.space.sample(self._next)):
            self._next += 1
        found, at = [], self._next
        while len(found) < batch_size and at < len(self.space):
            point = self.space.sample(at)
            if not self.was_evaluated(point):
                found.append(point)
            at += 1
        return found

    def rebuild(self):
        self._next = 0

    def print_hello_strategy(self):
        comms.print_grid_hello(self.num_param_configs, self.space.num_dims)

    def plot_grid(
        self,
        fixed_params=None,
        params_to_plot=[],
        target_to_plot="objective",
        plot_title="Temp Title",
        plot_subtitle=None,
        xy_labels=["x-label", "y-label"],
        variable_name="Var Label",
        every_nth_tick=1,
        fname=None,
    ):
        """Draw the objective over two parameters; see `visualize_2D_grid`."""
        return visualize_2D_grid(
            self.df,
            fixed_params,
            params_to_plot,
            target_to_plot,
            plot_title,
            plot_subtitle,
            xy_labels,
            variable_name,
            every_nth_tick,
            fname=fname,
        )
