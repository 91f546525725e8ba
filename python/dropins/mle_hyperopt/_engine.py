"""Strategies of `mle` behind a space of three dicts.

Values of lists go by their places, so that any Python object may be one; the strategies never see more than numbers.
"""

import math

import mle

from .space import place_of, plain


def key_of(params):
    """Return what is equal for equal parameters, whatever their order; True is not 1, and 1 is 1.0."""
    return tuple(sorted((name, _key(value)) for name, value in params.items()))


def _key(value):
    value = plain(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{float(value)!r}"
    return f"{type(value).__name__}:{value!r}"


class Engine:
    """A strategy of `mle` in memory."""

    def __init__(self, name, space, seed, settings=None, directions=("min",), order=None):
        self.space = space
        self.numbers = {}
        # A variable whose ends meet is a list of one value.
        self.lists = {name: list(values) for name, values in space.categorical.items()}
        ranges = {"real": {}, "integer": {}}
        for kind, group in (("real", space.real), ("integer", space.integer)):
            for variable, given in group.items():
                if given["begin"] == given["end"]:
                    self.lists[variable] = [given["begin"]]
                else:
                    ranges[kind][variable] = dict(given)
        described = {kind: group for kind, group in ranges.items() if group}
        described["categorical"] = {name: list(range(len(values))) for name, values in self.lists.items()}
        if not described["categorical"]:
            del described["categorical"]
        self.native = mle._mle.Strategy(
            name, described, seed=int(seed), settings=dict(settings or {}), directions=list(directions)
        )

    def ask(self, n):
        """Return up to `n` points: fewer when no more are left."""
        found = []
        for asked in self.native.ask(n)[0]:
            params = self._decode(asked["params"])
            self.numbers.setdefault(key_of(params), []).append(asked["number"])
            found.append(params)
        return found

    def tell(self, params, values):
        """Say what a point is worth: of one that was asked for, or of any other in the space.

        Parameters
        ----------
        params : dict
        values : list of float, or None where it failed
        """
        waiting = self.numbers.get(key_of(params))
        status = "complete" if values is not None else "failed"
        if waiting:
            self.native.tell(waiting.pop(0), values, status)
            return
        coded = self._encode(params)
        if coded is not None:
            self.native.put(coded, values, status)

    def _decode(self, params):
        names = [*self.space.categorical, *self.space.real, *self.space.integer]
        point = {}
        for name in names:
            value = params[name]
            point[name] = self.lists[name][int(value)] if name in self.lists else value
        return point

    def _encode(self, params):
        if not all(name in params and self.space.has(name, params[name]) for name in self.space.variable_names):
            return None
        coded = {}
        for name in self.space.variable_names:
            if name in self.lists:
                coded[name] = place_of(params[name], self.lists[name])
            else:
                coded[name] = plain(params[name])
        return coded


def values_of(objective, count):
    """Return an objective as numbers, or None where it is missing or NaN."""
    values = list(objective) if isinstance(objective, (list, tuple)) or getattr(objective, "ndim", 0) else [objective]
    numbers = [float("nan") if value is None else float(value) for value in values]
    if len(numbers) != count or any(math.isnan(number) for number in numbers):
        return None
    return numbers


def peer_initial_points(space, seed, count):
    """Return the points that scikit-optimize begins with, whole numbers kept inside the space.

    There they reach one above their end, with half the weight of the others, as their begin has half. What is above the
    end counts as the begin, which makes all of them equally likely.
    """
    settings = {"compat": "mle_hyperopt", "n_initial_points": count}
    points = Engine("smbo", space, seed, settings).ask(count)
    for point in points:
        for name, given in space.integer.items():
            if point[name] > given["end"]:
                point[name] = given["begin"] if given["prior"] == "uniform" else given["end"]
    return points
