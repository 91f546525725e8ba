"""Scalars of unchanged scripts into runs, and of runs into TensorBoard's event files."""

from __future__ import annotations

import os

from . import _mle
from ._errors import ConflictError, FailedError, InvalidError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, BinaryIO, Dict, Iterable, List, Optional, Sequence, Tuple, Union

    from ._db import Database
    from ._logger import Logger
    from ._types import Path

#: Columns of a CSV that say where on the step axis a row is; the first that is there counts.
STEPS = ("step", "global_step", "num_steps", "iteration", "iter", "epoch", "time/total_timesteps", "timesteps")
#: CSV files of these names give their columns no prefix.
PLAIN = ("metrics", "progress", "log", "history", "monitor")
#: Columns that tell when, not what.
TIMES = ("time", "timestamp", "wall_time", "date", "datetime")
_PIECE = 1 << 22
#: How much of each end of what a file held tells whether it still does.
_END = 1 << 16


class AutoLog:
    """Watches a folder and logs the scalars that a script writes there; made by :func:`mle.autolog`."""

    def __init__(self, folder: str, log: Logger, *, every: float, existing: bool, owned: bool) -> None:
        import threading

        self.folder = folder
        #: Where the scalars go.
        self.log = log
        #: How many points were taken.
        self.points = 0
        #: What could not be read, by file.
        self.problems: Dict[str, str] = {}
        self._owned = owned
        self._files: Dict[str, Union[_Events, _Csv]] = {}
        self._every = every
        self._stop = threading.Event()
        self._turn = threading.Lock()
        if not existing:
            for path in self._find():
                try:
                    self._files[path] = self._open(path, note=True)
                except OSError:
                    # Gone again, or not ours to read: looked at as a new one should it come.
                    continue
        self._thread = threading.Thread(target=self._watch, name="mle-autolog", daemon=True)
        self._thread.start()

    def __enter__(self) -> AutoLog:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.log.closed:
            return
        self.look(last=True)
        if self._owned:
            self.log.__exit__(kind, error, trace)
        else:
            self.log.flush()

    def close(self) -> None:
        """Take what is there and end the watching, and the run when `autolog` made it."""
        self.__exit__(None, None, None)

    def look(self, last: bool = False) -> int:
        """Take what was written since the last look; return how many points. `last`: lines without an end count too."""
        with self._turn:
            before = self.points
            for path in self._find():
                file = self._files.get(path) or self._files.setdefault(path, self._open(path))
                try:
                    for step, values in file.read(last):
                        self.log.log(values, step)
                        self.points += len(values)
                except (OSError, ValueError, FailedError) as error:
                    self._complain(path, str(error))
            return self.points - before

    def _complain(self, path: str, why: str) -> None:
        if path not in self.problems:
            import warnings

            self.problems[path] = why
            warnings.warn(f"{path}: {why}", RuntimeWarning, stacklevel=2)

    def _watch(self) -> None:
        while not self._stop.wait(self._every) and not self.log.closed:
            try:
                self.look()
            except ConflictError:
                # Closed meanwhile, or the job is another attempt's now: who leaves the block is told.
                return

    def _find(self) -> List[str]:
        if os.path.isfile(self.folder):
            return [self.folder]
        found = []
        for folder, folders, files in os.walk(self.folder):
            folders.sort()
            found += [os.path.join(folder, name) for name in sorted(files) if _kind(name)]
        return found

    def _open(self, path: str, note: bool = False) -> Union[_Events, _Csv]:
        place = "" if path == self.folder else os.path.relpath(path, self.folder)
        if _kind(path) == "csv":
            stem = os.path.splitext(place)[0]
            folder, name = os.path.split(stem)
            prefix = folder if name in PLAIN else stem
            return _Csv(path, f"{prefix}/" if prefix else "", note)
        folder = os.path.dirname(place)
        return _Events(path, f"{folder}/" if folder else "", note)


def _kind(path: str) -> Optional[str]:
    name = os.path.basename(path)
    if ".tfevents." in name:
        return "events"
    return "csv" if name.endswith(".csv") else None


class _File:
    """A file, read as it grows, and from its beginning when it was written anew."""

    def __init__(self, path: str, prefix: str, note: bool) -> None:
        self.path, self.prefix = path, prefix
        #: How far it was read, and what was there before it was watched, which is not to be taken.
        self.at = self.start = 0
        #: A digest of what it held up to a place: as long as that stays, what comes after it was appended.
        self._held, self._digest = 0, b""
        self._seen: Optional[Tuple[int, int]] = None
        #: When it was last written before it was watched, until it is seen to be written again.
        self._noted: Optional[int] = None
        self._waited = False
        if note:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                self.start, self._noted = state.st_size, state.st_mtime_ns
                self._hold(file, self.start)

    def read(self, last: bool) -> Iterable[Tuple[Optional[int], Dict[str, float]]]:
        with open(self.path, "rb") as file:
            state = os.fstat(file.fileno())
            seen = (state.st_size, state.st_mtime_ns)
            if seen == self._seen and not last:
                return
            if self._noted is not None and state.st_size == self._held and state.st_mtime_ns != self._noted:
                # Written again to the same size, or caught between the time and the size of one write: the next look tells.
                if not (last or self._waited):
                    self._waited = True
                    return
                self._begin()
            elif state.st_size < self._held or self._sample(file, self._held) != self._digest:
                self._begin()
            self._seen = seen
            if state.st_mtime_ns != self._noted:
                self._noted = None
            file.seek(self.at)
            yield from self._take(file, last)

    def _take(self, file: BinaryIO, last: bool) -> Iterable[Tuple[Optional[int], Dict[str, float]]]:
        raise NotImplementedError

    def _begin(self) -> None:
        self.at = self.start = self._held = 0
        self._digest = b""
        self._noted = None

    def _hold(self, file: BinaryIO, size: int) -> None:
        self._held, self._digest = size, self._sample(file, size)

    def _sample(self, file: BinaryIO, size: int) -> bytes:
        """Return a digest of the first `size` bytes: of the ends of them, for files may be large."""
        import hashlib

        if not size:
            return b""
        place = file.tell()
        file.seek(0)
        digest = hashlib.sha256(file.read(min(size, _END)))
        file.seek(max(size - _END, 0))
        digest.update(file.read(min(size, _END)))
        file.seek(place)
        return digest.digest()


class _Events(_File):
    """An event file."""

    def __init__(self, path: str, prefix: str, note: bool) -> None:
        super().__init__(path, prefix, note)
        self.at = self.start

    def _take(self, file: BinaryIO, last: bool) -> Iterable[Tuple[Optional[int], Dict[str, float]]]:
        rest = b""
        while True:
            piece = file.read(_PIECE)
            found, used = _mle.event_scalars(rest + piece)
            self.at += used
            self._hold(file, self.at)
            at: Optional[int] = None
            values: Dict[str, float] = {}
            for _, step, tag, value in found:
                # What belongs to one step is one update.
                if values and (step != at or self.prefix + tag in values):
                    yield at, values
                    values = {}
                at = step
                values[self.prefix + tag] = value
            if values:
                yield at, values
            rest = (rest + piece)[used:]
            if len(piece) < _PIECE:
                return


class _Csv(_File):
    """A table with a head."""

    def __init__(self, path: str, prefix: str, note: bool) -> None:
        super().__init__(path, prefix, note)
        self.head: Optional[List[str]] = None
        self.step: Optional[int] = None
        self.row = 0

    def _begin(self) -> None:
        super()._begin()
        self.head, self.row = None, 0

    def _take(self, file: BinaryIO, last: bool) -> Iterable[Tuple[Optional[int], Dict[str, float]]]:
        import csv

        data = file.read()
        end = len(data) if last else data.rfind(b"\n") + 1
        self.at += end
        self._hold(file, max(self.at, self.start))
        # What was there before is read for its head and its count of rows alone.
        old = data.rfind(b"\n", 0, min(self.start, end)) + 1
        self.start = 0
        first = len(_lines(data[:old]))
        for number, line in enumerate(csv.reader(_lines(data[:end]))):
            if self.head is None:
                # Some begin with a line of remarks, as that of Gym's monitor.
                if line and line[0].startswith("#"):
                    continue
                self.head = [name.strip() for name in line]
                lower = [name.lower() for name in self.head]
                self.step = next((lower.index(name) for name in STEPS if name in lower), None)
                continue
            if not any(line):
                continue
            step = self.row if self.step is None else _whole(line[self.step] if self.step < len(line) else "")
            self.row += 1
            if number < first:
                continue
            values: Dict[str, float] = {}
            for place, (name, word) in enumerate(zip(self.head, line)):
                value = _number(word)
                if value is not None and place != self.step and name and name.lower() not in TIMES:
                    values[self.prefix + name] = value
            if values:
                yield step, values


def _lines(data: bytes) -> List[str]:
    return data.decode("utf-8", "replace").lstrip("\ufeff").splitlines()


def _number(word: str) -> Optional[float]:
    try:
        return float(word)
    except ValueError:
        return None


def _whole(word: str) -> Optional[int]:
    value = _number(word)
    return int(value) if value is not None and value - value == 0.0 else None


def autolog(
    folder: Path,
    log: Optional[Logger] = None,
    *,
    every: float = 1.0,
    existing: bool = False,
    **options: Any,
) -> AutoLog:
    """Log the scalars that a script writes to TensorBoard event files and CSV files, without a change of it.

    Parameters
    ----------
    folder : path
        What is watched: all event files (`*.tfevents.*`) and CSV files below it, or one file. It need not be there yet.
        Files in folders of it give their metrics the folder's name: `train/loss`; so does a CSV file its own name, unless
        that is metrics, progress, log, history or monitor.
    log : Logger, optional
        Where to; else a new run, made of `options` as :class:`mle.Logger` takes them. In a job: the job's run.
    every : float
        How often it looks [s].
    existing : bool
        Also take what is there before. A file that is written anew meanwhile is taken from its beginning in any case.

    Returns
    -------
    AutoLog
        A context manager: leaving it takes what is left. `.points` counts, `.problems` says what could not be read.

    Notes
    -----
    The step of a CSV row is that of its column step, global_step, num_steps, iteration, iter or epoch, else its place. For a
    program of any kind: `python -m mle autolog --watch FOLDER -- COMMAND …`, also as the command of a spec.

    References
    ----------
    TensorFlow, tensorflow/core/util/event.proto and lib/io/record_writer.cc: the records of event files.

    Examples
    --------
    >>> import os
    >>> with mle.autolog("logs", db="lab.db") as watched:
    ...     os.makedirs("logs/run")
    ...     with open("logs/run/metrics.csv", "w") as file:
    ...         _ = file.write("step,loss\\n0,0.5\\n10,0.25\\n")
    >>> mle.open("lab.db").metrics(metric="run/loss")["step"]
    [0, 10]
    """
    owned = log is None
    if log is None:
        from ._logger import Logger

        log = Logger(options.pop("db", None), **options)
    elif options:
        raise InvalidError(f"options {', '.join(options)} are of a new run, and a logger was given")
    return AutoLog(os.path.abspath(os.fspath(folder)), log, every=every, existing=existing, owned=owned)


def command(words: Sequence[str]) -> int:
    """Run a program while watching what it writes; return its exit status: `python -m mle autolog`."""
    import argparse
    import subprocess

    parser = argparse.ArgumentParser(
        prog="python -m mle autolog",
        description="Runs a command and logs the scalars it writes to TensorBoard event files and CSV files.",
    )
    parser.add_argument("--watch", metavar="FOLDER", default=".", help="where it writes them [default: here]")
    parser.add_argument("--db", metavar="FILE", help="the file; in a job that of the job [default: MLE_DB]")
    parser.add_argument("--name", default="", help="the new experiment's name [default: the command's]")
    parser.add_argument("--every", metavar="SECONDS", type=float, default=1.0, help="how often it looks [default: 1]")
    parser.add_argument("--existing", action="store_true", help="take what is there before, too")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    given = parser.parse_args(list(words))
    name = given.name or os.path.splitext(os.path.basename(given.command[-1 if len(given.command) == 1 else 0]))[0]
    if not os.environ.get("MLE_RUN") and not given.db and not os.environ.get("MLE_DB"):
        parser.error("which file? --db FILE")
    with autolog(given.watch, every=given.every, existing=given.existing, db=given.db, name=name) as watched:
        try:
            status = subprocess.run(given.command).returncode
        except OSError as error:
            raise SystemExit(f"cannot start {given.command[0]}: {error.strerror}")
        if status != 0:
            watched.look(last=True)
            watched.log.fail(f"exit status {status}")
    if not watched.points:
        print(f"mle autolog: no scalars were written below {watched.folder}", file=os.sys.stderr)  # type: ignore[attr-defined]
    return status if status >= 0 else 128 - status


def export(db: Database, folder: str, runs: List[int], metrics: Optional[Sequence[str]]) -> List[str]:
    """Write an event file for each run; return their paths."""
    import json

    found = db.sql(
        "SELECT id, experiment, name, strftime('%s', coalesce(started_at, '1970-01-01')) AS started FROM runs"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        [json.dumps(runs)],
    )
    paths = []
    for run, experiment, label, started in zip(found["id"], found["experiment"], found["name"], found["started"]):
        origin = float(started)
        place = os.path.join(folder, f"{_safe(str(experiment))}-{run}" + (f"-{_safe(label)}" if label else ""))
        names = db._metrics([run], metrics)
        os.makedirs(place, exist_ok=True)
        path = os.path.join(place, f"events.out.tfevents.{int(origin):010}.mle.{run}")
        # A file that is there was made by an earlier export: it is made anew, never added to.
        with open(path + ".part", "wb") as file:
            file.write(_mle.event_head(origin))
            for name in names:
                series = db.native.series(run, name, timed=True)
                if series is not None:
                    steps, values, seconds = series
                    file.write(_mle.event_records(name, steps, values, seconds or bytearray(len(steps)), origin))
        os.replace(path + ".part", path)
        paths.append(path)
    if not paths:
        raise NotFoundError("there are no such runs")
    return paths


def _safe(name: str) -> str:
    """Return a name as a folder's.

    >>> mle._events._safe("a/b .. c")
    'a_b_.._c'
    """
    kept = "".join(letter if letter.isalnum() or letter in "-_.=" else "_" for letter in name)[:80]
    return kept if kept.strip(".") else "_"
