"""What is searched: reals, whole numbers and lists, each by name."""

import numbers

PRIORS = ("uniform", "log-uniform")


class SpaceError(AssertionError, ValueError):
    """A space, or what belongs to one, that cannot be used."""


class HyperSpace:
    """A space of three dicts.

    Parameters
    ----------
    real, integer : dict, optional
        `{name: {"begin": low, "end": high, …}}` with `prior` ("uniform" or "log-uniform"), or `bins` in a grid.
    categorical : dict, optional
        `{name: [value, …]}`.

    Raises
    ------
    SpaceError
        Naming the variable and what is wrong with it.
    """

    #: What a variable has besides `begin` and `end`.
    kind = "prior"

    def __init__(self, real=None, integer=None, categorical=None):
        # Copies: a caller's dicts stay as they are, and may be those of several spaces.
        self.real = {name: dict(given) for name, given in (real or {}).items()}
        self.integer = {name: dict(given) for name, given in (integer or {}).items()}
        self.categorical = {name: _as_list(given) for name, given in (categorical or {}).items()}
        self.check()
        self.construct()

    @property
    def real_names(self):
        return list(self.real)

    @property
    def integer_names(self):
        return list(self.integer)

    @property
    def categorical_names(self):
        return list(self.categorical)

    @property
    def variable_names(self):
        return [*self.real, *self.integer, *self.categorical]

    @property
    def num_dims(self):
        return len(self.variable_names)

    def check(self):
        """Raise a `SpaceError` for what is wrong."""
        seen = set()
        for name in self.variable_names:
            if name in seen:
                raise SpaceError(f"variable {name!r} is described twice")
            seen.add(name)
        for name, given in self.real.items():
            self._check_range(name, given)
            for end in ("begin", "end"):
                try:
                    given[end] = float(given[end])
                except (TypeError, ValueError):
                    raise SpaceError(f"variable {name!r}: {end} {given[end]!r} is no number") from None
            self._check_order(name, given)
        for name, given in self.integer.items():
            self._check_range(name, given)
            for end in ("begin", "end"):
                if isinstance(given[end], bool) or not isinstance(given[end], numbers.Integral):
                    raise SpaceError(f"variable {name!r}: {end} {given[end]!r} is no whole number")
                given[end] = int(given[end])
            self._check_order(name, given)
        for name, values in self.categorical.items():
            if not values:
                raise SpaceError(f"variable {name!r} has no values")

    def _check_range(self, name, given):
        for key in ("begin", "end", self.kind):
            if key not in given:
                raise SpaceError(f"variable {name!r} has no {key!r}: {given}")
        if self.kind == "prior" and given["prior"] not in PRIORS:
            raise SpaceError(f"variable {name!r}: prior {given['prior']!r} is neither of {', '.join(PRIORS)}")
        if self.kind == "bins":
            bins = given["bins"]
            if isinstance(bins, bool) or not isinstance(bins, numbers.Integral) or bins < 1:
                raise SpaceError(f"variable {name!r}: bins {bins!r} is no whole number above 0")

    def _check_order(self, name, given):
        if given["begin"] > given["end"]:
            raise SpaceError(f"variable {name!r} begins at {given['begin']} and ends below that, at {given['end']}")
        if given.get("prior") == "log-uniform" and given["begin"] <= 0:
            raise SpaceError(f"variable {name!r}: a log-uniform prior needs a begin above 0, not {given['begin']}")

    def construct(self):
        """Prepare what follows from the three dicts."""

    def sample(self):
        """Return a point."""
        raise NotImplementedError

    def update(self, real=None, integer=None, categorical=None):
        """Go on with other dicts; those not given stay."""
        old = self.real, self.integer, self.categorical
        if real is not None:
            self.real = {name: dict(given) for name, given in real.items()}
        if integer is not None:
            self.integer = {name: dict(given) for name, given in integer.items()}
        if categorical is not None:
            self.categorical = {name: _as_list(given) for name, given in categorical.items()}
        try:
            self.check()
        except SpaceError:
            self.real, self.integer, self.categorical = old
            raise
        self.construct()

    @property
    def bounds(self):
        """`{name: ["real", begin, end]}`, the same for "integer"; `["categorical", value, …]`."""
        found = {name: ["real", given["begin"], given["end"]] for name, given in self.real.items()}
        found.update({name: ["integer", given["begin"], given["end"]] for name, given in self.integer.items()})
        found.update({name: ["categorical", *values] for name, values in self.categorical.items()})
        return found

    def describe(self):
        """Return a dict of name, type and range for each variable."""
        rows = [
            {"name": name, "type": "categorical", "extra": str(values)} for name, values in self.categorical.items()
        ]
        for kind, group in (("real", self.real), ("integer", self.integer)):
            for name, given in group.items():
                last = {"bins": "Bins", "prior": "Prior"}[self.kind]
                extra = f"Begin: {given['begin']}, End: {given['end']}, {last}: {given[self.kind]}"
                rows.append({"name": name, "type": kind, "extra": extra})
        return rows

    def contains(self, candidate):
        """Return whether a point `{name: value}` is in the space."""
        return all(self.has(name, value) for name, value in candidate.items())

    def has(self, name, value):
        """Return whether a variable can have a value."""
        if name in self.real:
            given = self.real[name]
            number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            return number and given["begin"] <= value <= given["end"]
        if name in self.integer:
            given = self.integer[name]
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            return whole and given["begin"] <= value <= given["end"]
        return name in self.categorical and place_of(value, self.categorical[name]) is not None


def _as_list(given):
    if isinstance(given, (list, tuple)):
        return list(given)
    return given.tolist() if hasattr(given, "tolist") and getattr(given, "ndim", 0) else [given]


def plain(value):
    """Return a scalar of numpy as Python has it."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def place_of(value, values):
    """Return the place of a value in a list, or None; True is not 1."""
    value = plain(value)
    for at, other in enumerate(values):
        other = plain(other)
        if other is value:
            return at
        try:
            if isinstance(other, bool) == isinstance(value, bool) and bool(other == value):
                return at
        except ValueError:
            continue
    return None
