"""Coordinate-wise grid search."""

from .. import _engine
from ..space import SpaceError
from ..spaces import GridSpace
from ._batch import PointStrategy


class CoordinateSearch(PointStrategy):
    """Goes through the values of one variable at a time, with the others at their defaults.

    `search_config`: `order`, the names one after the other, and `defaults`, a value for each variable. Once all values of a
    variable were told, the best one is its default from then on.

    Attributes
    ----------
    active_var : str or None
    var_counter : int
        Variables that are done.
    grid_var_counter : int
        Values of the active one that were told.
    evals_per_coord : list of int
        Values of each variable in `order`.
    range_per_coord : dict of list
    defaults : dict
        The values as they are now; those in `search_config` stay as given.
    """

    search_name = "Coordinate-Wise Search"
    space_class = GridSpace
    default_config = {}
    required = ("order", "defaults")

    def setup_search(self):
        order = list(self.search_config["order"])
        names = self.space.variable_names
        unknown = [name for name in [*order, *self.search_config["defaults"]] if name not in names]
        if unknown:
            raise SpaceError(f"{', '.join(map(repr, dict.fromkeys(unknown)))} is no variable: they are {', '.join(names)}")
        missing = [name for name in names if name not in self.search_config["defaults"]]
        if missing:
            raise SpaceError(f"defaults has no value of {', '.join(missing)}")
        self.order = order
        self.range_per_coord = {name: self.space.param_range[name] for name in order}
        self.evals_per_coord = [len(self.range_per_coord[name]) for name in order]
        self._start()

    def _start(self):
        self.defaults = dict(self.search_config["defaults"])
        self.var_counter = 0

    @property
    def active_var(self):
        return self.order[self.var_counter] if self.var_counter < len(self.order) else None

    def _stage(self):
        """Return the points of the active variable."""
        if self.active_var is None:
            return []
        return [{**self.defaults, self.active_var: value} for value in self.range_per_coord[self.active_var]]

    @property
    def grid_var_counter(self):
        return sum(self.was_evaluated(point) for point in self._stage())

    def ask_search(self, batch_size):
        return [point for point in self._stage() if not self.was_evaluated(point)][:batch_size]

    def update_search(self):
        """Go on to the next variable once all values of this one were told."""
        while self.active_var is not None:
            keys = {_engine.key_of(point) for point in self._stage()}
            if not keys <= self._keys:
                return
            told = [record for record in self.log if _engine.key_of(record["params"]) in keys]
            self.defaults[self.active_var] = self.ranked(told)[0]["params"][self.active_var]
            self.var_counter += 1
            if self.verbose:
                self.print_hello_strategy()

    def rebuild(self):
        verbose, self.verbose = self.verbose, False
        self._start()
        self.update_search()
        self.verbose = verbose

    def print_hello_strategy(self):
        if self.active_var is None:
            print(f"Coordinate: all variables are done, the best is {self.defaults}")
        else:
            print(f"Coordinate: {self.active_var} is active, the others are at {self.defaults}")
