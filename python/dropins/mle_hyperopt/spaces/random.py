"""Spaces that are drawn from."""

import math

from ..space import HyperSpace


class RandomSpace(HyperSpace):
    """A space that is drawn from: lists first, then reals, then whole numbers, one draw each.

    `generator` is a `numpy.random.RandomState` of its own; the global one is left alone.
    """

    def __init__(self, real=None, integer=None, categorical=None, seed=None):
        self._seed, self._generator = seed, None
        super().__init__(real, integer, categorical)

    @property
    def generator(self):
        if self._generator is None:
            import numpy as np

            self._generator = np.random.RandomState(self._seed)
        return self._generator

    @generator.setter
    def generator(self, generator):
        self._generator = generator

    def sample(self):
        """Draw a point: `{name: value}` with Python's own types."""
        return {name: self.draw(name) for name in (*self.categorical, *self.real, *self.integer)}

    def draw(self, name):
        """Draw a value of one variable."""
        if name in self.categorical:
            values = self.categorical[name]
            return values[self.generator.randint(0, len(values))]
        given = self.real.get(name) or self.integer[name]
        low, high, whole = given["begin"], given["end"], name in self.integer
        if given["prior"] == "uniform":
            return int(self.generator.randint(low, high + 1)) if whole else float(self.generator.uniform(low, high))
        # One more for whole numbers, so that the end is drawn as well.
        above = high + 1 if whole else high
        drawn = math.exp(self.generator.uniform(math.log(low), math.log(above)))
        return min(high, max(low, math.floor(drawn) if whole else drawn))
