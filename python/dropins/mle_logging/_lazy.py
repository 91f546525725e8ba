"""numpy, imported with its first use: a job that logs numbers needs none."""

import sys


class _Numpy:
    def __getattr__(self, name):
        import numpy

        return getattr(numpy, name)


np = _Numpy()


def is_array(value):
    """Return whether a value is an array of numpy, without importing it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)
