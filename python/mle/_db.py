"""A file, and what can be asked of it."""

from __future__ import annotations

import os
from . import _mle
from ._errors import InvalidError
from ._frame import Column, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

    import numpy

    from ._chart import Chart
    from ._logger import Logger
    from ._protocol import Protocol
    from ._queue import Queue
    from ._study import Study
    from ._types import Path, Word

_DOCUMENTS = {"params", "values", "curve", "extra", "settings", "space", "constraints", "command", "environment"}


def default_path() -> str:
    """Return the file that `MLE_DB` names: inside a job, that of the job.

    Raises
    ------
    InvalidError
        When it is not set.
    """
    path = os.environ.get("MLE_DB")
    if not path:
        raise InvalidError("which file is meant is not known", "give its path, or set MLE_DB")
    return path


def open(path: Optional[Path] = None, *, read_only: bool = False, create: bool = False) -> Database:
    """Open a file that is there.

    Parameters
    ----------
    path : str or path, optional
        The file; that of `MLE_DB` when left out.
    read_only : bool
        Change nothing. Also works where the disk cannot be written.
    create : bool
        Make the file when it is not there. What writes makes it too: a :class:`Logger`, :class:`Study`, :class:`Queue` or
        :class:`Protocol` that is given its path.

    Returns
    -------
    Database
        May be used by several threads, and in forked children: connections are opened when needed.

    Raises
    ------
    NotFoundError
        When there is no file.
    WrongFileError, BusyError, FileError

    Notes
    -----
    Never open the file with Python's own `sqlite3` in the same process: two copies of SQLite in one process take each
    other's locks away, which can damage a file. :meth:`Database.sql` answers what one would ask.

    Examples
    --------
    >>> db = mle.open("lab.db", create=True)
    >>> db.sql("SELECT 1 + ?", [2]).one()
    3
    """
    mode = "read" if read_only else ("create" if create else "existing")
    return Database(_mle.Db(os.fspath(path) if path is not None else default_path(), mode))


def as_database(db: Union[Database, Path, None], create: bool = True) -> Database:
    """Return a database from one, from a path, or from `MLE_DB`; a file that is not there is made, unless told otherwise."""
    return db if isinstance(db, Database) else open(db, create=create)


class Database:
    """An open file. Made by :func:`mle.open`."""

    def __init__(self, native: _mle.Db) -> None:
        #: The native handle, for what has no method here; see API.md.
        self.native = native

    @property
    def path(self) -> str:
        """The file."""
        return self.native.path

    def __reduce__(self) -> Any:
        return (open, (self.path,), None) if not self.native.read_only else (_open_read_only, (self.path,))

    def __repr__(self) -> str:
        return f"mle.open({self.path!r})"

    def _repr_html_(self) -> str:
        from ._html import card

        found = self.sql(
            "SELECT id, name, kind, state, runs, runs_complete AS complete, metric, goal, best, created_at AS created"
            " FROM experiments ORDER BY id DESC LIMIT 20"
        )
        n = self.sql("SELECT (SELECT count(*) FROM experiments) AS e, (SELECT count(*) FROM runs) AS r").rows()[0]
        facts = [("experiments", n["e"]), ("runs", n["r"]), ("MiB", f"{os.path.getsize(self.path) / 2**20:.1f}")]
        return card("file", self.path, facts, found._html() if len(found) else "")

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections: asking or writing is an error from then on."""
        self.native.close()

    def sql(self, statement: str, params: Union[Sequence[Any], Mapping[str, Any], None] = None) -> Frame:
        """Ask one SELECT.

        Parameters
        ----------
        statement : str
            The views are the interface: experiments, runs, metrics, points, trials, jobs, leaderboard and more.
        params : sequence or mapping, optional
            Values for `?` by place or `:name` by name: None, numbers, str or bytes.

        Raises
        ------
        InvalidError
            When the statement would change anything.
        SqlError
            When SQLite refuses it.
        """
        return Frame._of(*self.native.sql(statement, params))

    def _view(self, statement: str, params: Optional[Sequence[Any]] = None) -> Frame:
        frame = self.sql(statement, params)
        for name in _DOCUMENTS.intersection(frame.columns):
            import json

            column = frame._columns[name]
            if column.kind == "o":
                column.data = [json.loads(value) if isinstance(value, str) else value for value in column.data]
        return frame

    def _where(self, view: str, filters: Dict[str, Any], order: str) -> Frame:
        given = {name: value for name, value in filters.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        return self._view(
            f"SELECT * FROM {view}{' WHERE ' + where if where else ''} ORDER BY {order}", list(given.values())
        )

    def experiment_id(self, experiment: Word) -> int:
        """Return the id of an experiment by its id, its name (the latest) or the first characters of its uid."""
        return self.native.find_experiment(experiment)

    def _id(self, experiment: Optional[Word]) -> Optional[int]:
        return None if experiment is None else self.experiment_id(experiment)

    def experiments(self) -> Frame:
        """Return all experiments, oldest first."""
        return self._where("experiments", {}, "id")

    def runs(self, experiment: Optional[Word] = None, *, state: Optional[str] = None) -> Frame:
        """Return runs with their config (`params`, a dict) and value."""
        return self._where("runs", {"experiment_id": self._id(experiment), "state": state}, "id")

    def trials(self, experiment: Optional[Word] = None, *, state: Optional[str] = None) -> Frame:
        """Return the trials of studies."""
        return self._where("trials", {"experiment_id": self._id(experiment), "state": state}, "study_id, number")

    def jobs(self, experiment: Optional[Word] = None, *, state: Optional[str] = None) -> Frame:
        """Return jobs with how their last attempt went."""
        return self._where("jobs", {"experiment_id": self._id(experiment), "state": state}, "id")

    def artifacts(self, run: Optional[int] = None, experiment: Optional[Word] = None) -> Frame:
        """Return what artifacts there are; :meth:`artifact` reads one."""
        return self._where("artifacts", {"run_id": run, "experiment_id": self._id(experiment)}, "id")

    def leaderboard(self, experiment: Optional[Word] = None) -> Frame:
        """Return configs by their mean over seeds, best first, with 95 % bootstrap intervals."""
        return self._where("leaderboard", {"experiment_id": self._id(experiment)}, "experiment_id, place")

    def summary(self, run: Optional[int] = None, experiment: Optional[Word] = None) -> Frame:
        """Return a row for each metric of each run: n, first, last, min, max, mean. Reads no points."""
        return self._where("metrics", {"run_id": run, "experiment_id": self._id(experiment)}, "run_id, metric")

    def _runs(self, run: Union[int, Iterable[int], None], experiment: Optional[Word]) -> List[int]:
        if run is not None:
            return [run] if isinstance(run, int) else [int(one) for one in run]
        if experiment is None:
            return self.sql("SELECT id FROM runs ORDER BY id")["id"]
        found = self.sql("SELECT id FROM runs WHERE experiment_id = ? ORDER BY id", [self._id(experiment)])
        return found["id"]

    def _metrics(self, runs: List[int], metric: Union[str, Iterable[str], None]) -> List[str]:
        if metric is not None:
            return [metric] if isinstance(metric, str) else list(metric)
        marks = ", ".join(map(str, runs)) or "NULL"
        found = self.sql(
            f"SELECT DISTINCT metric FROM metrics WHERE run_id IN ({marks}) AND kind IN ('scalar', 'clock') ORDER BY 1"
        )
        return found["metric"]

    def metrics(
        self,
        run: Union[int, Iterable[int], None] = None,
        experiment: Optional[Word] = None,
        metric: Union[str, Iterable[str], None] = None,
        *,
        times: bool = False,
    ) -> Frame:
        """Return the points of metrics, one row a point.

        Parameters
        ----------
        run : int or several, optional
            Runs by their ids.
        experiment : int or str, optional
            All runs of an experiment, when no run is named; all of the file when neither is.
        metric : str or several, optional
            All numbers when left out.
        times : bool
            Also `elapsed_s`, the time since the attempt began [s].

        Returns
        -------
        Frame
            run_id (int64), metric (str), step (int64), value (float64, NaN where NaN was logged).

        Examples
        --------
        >>> with mle.Logger("lab.db") as log:
        ...     for step in range(3):
        ...         log.log({"loss": 1 / (step + 1)}, step=step)
        >>> mle.open(log.path).metrics(run=log.run_id)["value"]
        [1.0, 0.5, 0.3333333333333333]
        """
        runs = self._runs(run, experiment)
        found = self.native.many_series(runs, self._metrics(runs, metric), times)
        ids, names = [], []
        steps, values, seconds = bytearray(), bytearray(), bytearray()
        for of, name, step, value, second in found:
            n = len(step) // 8
            ids.append(of.to_bytes(8, _byteorder(), signed=True) * n)
            names += [name] * n
            steps += step
            values += value
            seconds += second or b""
        columns = {
            "run_id": Column("i", bytearray().join(ids)),
            "metric": Column("o", names),
            "step": Column("i", steps),
            "value": Column("f", values),
        }
        if times:
            columns["elapsed_s"] = Column("f", seconds)
        return Frame(dict(columns))

    def series(self, run: int, metric: str) -> Tuple["numpy.ndarray[Any, Any]", "numpy.ndarray[Any, Any]"]:
        """Return one metric of one run.

        Returns
        -------
        steps : (n_points,) int64
        values : (n_points,) float64

        Raises
        ------
        NotFoundError
            When the run has no such metric of numbers.
        """
        import numpy

        found = self.native.series(run, metric)
        if found is None:
            from ._errors import NotFoundError

            raise NotFoundError(f"run {run} has no metric {metric!r}", "mle.open(…).summary(run) lists what it has")
        return numpy.frombuffer(found[0], dtype="int64"), numpy.frombuffer(found[1], dtype="float64")

    def over_seeds(
        self,
        run: Union[int, Iterable[int], None] = None,
        experiment: Optional[Word] = None,
        metric: Union[str, Iterable[str], None] = None,
    ) -> Dict[str, Frame]:
        """Return statistics of metrics over runs, step by step.

        Returns
        -------
        dict of Frame by metric
            step (int64), n (uint32, runs with a number there), mean, std (population), min, max, iqm, p10, p25, p50, p75,
            p90 (float64). Percentiles are linear between neighbours, as numpy's default.
        """
        runs = self._runs(run, experiment)
        found = self.native.over_seeds(runs, self._metrics(runs, metric))
        kinds = {"step": "i", "n": "u"}
        return {
            name: Frame({key: Column(kinds.get(key, "f"), data) for key, data in columns.items()})
            for name, columns in found.items()
        }

    def plot(
        self,
        metric: str,
        experiment: Optional[Word] = None,
        run: Union[int, Iterable[int], None] = None,
        *,
        band: Optional[str] = "quartiles",
        line: str = "mean",
        ax: Any = None,
    ) -> Any:
        """Draw a metric over steps: a line for each config, with a band over its seeds.

        Parameters
        ----------
        metric : str
        experiment, run : optional
            Whose; as of :meth:`metrics`.
        band : str or None
            "quartiles", "deciles", "range", or "std" (population) around the line.
        line : str
            "mean", "p50" (median) or "iqm" (interquartile mean).
        ax : matplotlib Axes, optional
            Where to draw [default: a new figure].

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        NotFoundError
            When no run has points of the metric.
        """
        from ._plot import by_config, curves

        return curves(self, metric, by_config(self, self._runs(run, experiment)), band, line, ax)

    def copy(self, path: Path) -> Database:
        """Copy the file as it is now to a new one, to be shared, while others go on writing; return the copy, opened.

        Raises
        ------
        InvalidError
            When there is something at that path.
        """
        self.native.copy(os.fspath(path))
        return open(path)

    def tensorboard(
        self,
        folder: Path,
        experiment: Optional[Word] = None,
        run: Union[int, Iterable[int], None] = None,
        metric: Union[str, Iterable[str], None] = None,
    ) -> List[str]:
        """Write metrics as TensorBoard's event files, a folder for each run; return the files' paths.

        `tensorboard --logdir FOLDER` shows them. TensorBoard keeps float32. :func:`mle.autolog` goes the other way.

        Parameters
        ----------
        folder : path
            Where to; folders are made. What an earlier call wrote there of the same runs is replaced.
        experiment, run, metric : optional
            What; as of :meth:`metrics`.

        Raises
        ------
        NotFoundError
            When there is no such run.
        """
        from ._events import export

        names = [metric] if isinstance(metric, str) else None if metric is None else list(metric)
        return export(self, os.fspath(folder), self._runs(run, experiment), names)

    def chart(
        self,
        metric: Union[str, Iterable[str]],
        experiment: Optional[Word] = None,
        run: Union[int, Iterable[int], None] = None,
        *,
        band: Optional[str] = "quartiles",
        line: str = "mean",
    ) -> Chart:
        """Return :meth:`plot` as an interactive figure, which notebooks show without a network.

        Several metrics are lines of one figure. `.save("x.html")` and `.save("x.svg")` keep it.

        Raises
        ------
        NotFoundError
            When no run has points of the metric.
        """
        from ._plot import chart_curves

        metrics = [metric] if isinstance(metric, str) else list(metric)
        return chart_curves(self, metrics, self._runs(run, experiment), band, line)

    def report(self, experiment: Word, format: str = "md") -> str:
        """Return the report of an experiment as it is now, as Markdown ("md") or as one HTML page ("html")."""
        if format not in ("md", "html"):
            raise InvalidError(f"format {format!r} is neither 'md' nor 'html'")
        return self.native.report(experiment)[format == "html"]

    def config(self, run: int) -> Dict[str, Any]:
        """Return the config of a run."""
        return self.native.config_of_run(run)

    def artifact(self, artifact: Word) -> bytes:
        """Return the bytes of an artifact by its id, or of the latest of a name."""
        found = artifact if isinstance(artifact, int) else self.native.find_artifact(artifact)
        return self.native.artifact_bytes(found)

    def put_document(self, experiment: Word, name: str, document: Any) -> int:
        """Keep a JSON document with an experiment under a name, in place of the one there; return the artifact's id."""
        import json

        text = json.dumps(_mle.Db.as_document(document))
        return self.native.add_artifact(
            f"{name}.json", text.encode(), experiment=self.experiment_id(experiment), kind="extra", replace=True
        )

    def document(self, experiment: Word, name: str, default: Any = None) -> Any:
        """Return a document that :meth:`put_document` kept, or `default`."""
        found = self.sql(
            "SELECT id FROM artifacts WHERE experiment_id = ? AND run_id IS NULL AND name = ? ORDER BY id DESC LIMIT 1",
            [self.experiment_id(experiment), f"{name}.json"],
        )["id"]
        if not found:
            return default
        import json

        return json.loads(self.artifact(found[0]))

    def wait(self, seconds: float = 1.0) -> bool:
        """Sleep until something is written to the file, or the time is over; return whether it was."""
        return self.native.wait(seconds)

    def logger(self, **options: Any) -> Logger:
        """Return :class:`mle.Logger` for this file."""
        from ._logger import Logger

        return Logger(self.path, **options)

    def study(self, name: str, space: Any = None, **options: Any) -> Study:
        """Return :class:`mle.Study` of this file."""
        from ._study import Study

        return Study(name, space, db=self, **options)

    def queue(self, experiment: Optional[str] = None, **options: Any) -> Queue:
        """Return :class:`mle.Queue` of this file."""
        from ._queue import Queue

        return Queue(self, experiment, **options)

    def protocol(self) -> Protocol:
        """Return :class:`mle.Protocol` of this file."""
        from ._protocol import Protocol

        return Protocol(self)


def _open_read_only(path: str) -> Database:
    return open(path, read_only=True)


def _byteorder() -> Any:
    import sys

    return sys.byteorder
