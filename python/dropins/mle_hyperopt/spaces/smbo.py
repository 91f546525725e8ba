"""The space of SMBO."""

from .random import RandomSpace


class SMBOSpace(RandomSpace):
    """A space that a model is fitted over; both ends of whole numbers are among them.

    `dimensions` are the names in the order of the model: lists, reals, whole numbers.
    """

    @property
    def dimensions(self):
        return [*self.categorical, *self.real, *self.integer]
