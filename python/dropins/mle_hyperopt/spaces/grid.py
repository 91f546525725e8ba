"""Grids."""

from ..space import HyperSpace


class ParameterGrid:
    """All combinations of values: a sequence of dicts, none of them made before it is asked for.

    Names are in alphabetical order, and the last one varies fastest.

    >>> grid = ParameterGrid({"b": [1, 2], "a": ["x", "y"]})
    >>> len(grid), grid[1]
    (4, {'a': 'x', 'b': 2})
    """

    def __init__(self, param_grid):
        self.ranges = {name: list(param_grid[name]) for name in sorted(param_grid)}

    def __len__(self):
        size = 1
        for values in self.ranges.values():
            size *= len(values)
        return size

    def __getitem__(self, at):
        size = len(self)
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(size))]
        if not -size <= at < size:
            raise IndexError(f"the grid has {size} points, and no point {at}")
        at %= size
        point = {}
        for name in reversed(self.ranges):
            at, place = divmod(at, len(self.ranges[name]))
            point[name] = self.ranges[name][place]
        return {name: point[name] for name in self.ranges}

    def __iter__(self):
        return (self[at] for at in range(len(self)))


class GridSpace(HyperSpace):
    """A space of equally spaced values, both ends included.

    Attributes
    ----------
    param_range : dict of list
    param_grid : ParameterGrid
    """

    kind = "bins"

    def construct(self):
        import numpy as np

        self.param_range = {name: list(values) for name, values in self.categorical.items()}
        for name, given in self.real.items():
            self.param_range[name] = np.linspace(given["begin"], given["end"], given["bins"]).tolist()
        for name, given in self.integer.items():
            values = np.linspace(given["begin"], given["end"], given["bins"]).astype(int).tolist()
            # More bins than whole numbers give some of them twice.
            self.param_range[name] = list(dict.fromkeys(values))
        self.param_grid = ParameterGrid(self.param_range)

    def __len__(self):
        return len(self.param_grid)

    def sample(self, grid_counter=0):
        """Return the point of a number."""
        return self.param_grid[grid_counter]

    def has(self, name, value):
        from ..space import place_of

        return name in self.param_range and place_of(value, self.param_range[name]) is not None
