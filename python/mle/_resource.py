"""Where jobs can run."""

from __future__ import annotations

import os

from . import _mle
from ._db import as_database
from ._errors import InvalidError
from ._queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Union

    from ._db import Database
    from ._frame import Frame
    from ._programs import Running
    from ._types import Path


class Resource:
    """This machine: what it has, what is free, and workers on it.

    Parameters
    ----------
    name : str
        "local".

    Examples
    --------
    >>> machine = mle.Resource()
    >>> machine.cores >= 1 and machine.memory_mib > 0
    True
    """

    def __init__(self, name: str = "local") -> None:
        if name != "local":
            raise InvalidError(f"resource {name!r} is not known", "resources are: local")
        self.name = name

    @property
    def cores(self) -> int:
        """Cores that this process may use."""
        return _mle.cores()

    @property
    def memory_mib(self) -> int:
        """Memory [MiB]."""
        return _mle.memory_mib()

    @property
    def gpus(self) -> List[str]:
        """GPUs by the names CUDA_VISIBLE_DEVICES takes."""
        return _mle.gpus()

    def usage(self) -> Dict[str, Any]:
        """Return what is in use.

        Returns
        -------
        dict
            cores, load (runnable processes, mean of the last minute), memory_mib, memory_free_mib (what could be had without
            swapping, where the system says it).
        """
        usage: Dict[str, Any] = {"cores": self.cores, "load": os.getloadavg()[0], "memory_mib": self.memory_mib}
        try:
            with open("/proc/meminfo", encoding="ascii") as file:
                lines = dict(line.split(":", 1) for line in file)
            usage["memory_free_mib"] = int(lines["MemAvailable"].split()[0]) // 1024
        except (OSError, KeyError, ValueError):
            usage["memory_free_mib"] = None
        return usage

    def workers(self, db: Union[Database, Path, None] = None) -> Frame:
        """Return the programs that are at work on a file."""
        return as_database(db, create=False).sql("SELECT * FROM workers WHERE ended_at IS NULL ORDER BY id")

    def start_workers(self, db: Union[Database, Path, None] = None, workers: Union[int, None] = None, *, stay: bool = False) -> Running:
        """Start a worker; as :meth:`mle.Queue.start_workers`."""
        return Queue(db).start_workers(workers, stay=stay)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self)[1:-1])}</p>"

    def __repr__(self) -> str:
        return f"<mle.Resource {self.name}: {self.cores} cores, {self.memory_mib} MiB, {len(self.gpus)} GPUs>"
