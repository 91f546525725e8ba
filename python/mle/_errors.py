"""What can go wrong, by what a caller can do about it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


class Error(Exception):
    """Base of all errors of this package.

    Attributes
    ----------
    hint : str or None
        The next step, when there is one.
    """

    def __init__(self, message: str = "", hint: Optional[str] = None) -> None:
        super().__init__(message if hint is None else f"{message} ({hint})")
        self.hint = hint


class NotFoundError(Error, LookupError):
    """The named thing is not in the file, or the file is not there."""


class InvalidError(Error, ValueError):
    """Input that cannot be meant: a name, a space, a setting, a statement."""


class ConflictError(Error, RuntimeError):
    """The thing is in a state that does not allow this; a job's lease that was lost among them."""


class BusyError(Error, TimeoutError):
    """Another process held the write lock for too long."""


class WrongFileError(Error, OSError):
    """The file is not ours, is damaged, or was written by a newer release."""


class FileError(Error, OSError):
    """A file or folder cannot be used."""


class SqlError(Error, RuntimeError):
    """SQLite refused a statement."""


class FailedError(Error, RuntimeError):
    """What was asked for ran and failed: a job, a run, an experiment, a program."""


class Pruned(Exception):
    """Raise it in a function given to :meth:`mle.Study.optimize` to say that the trial was stopped early.

    Parameters
    ----------
    curve : sequence of float, optional
        The first objective after each epoch so far.
    """

    def __init__(self, curve: "tuple[float, ...] | list[float]" = ()) -> None:
        super().__init__("pruned")
        self.curve = [float(value) for value in curve]
