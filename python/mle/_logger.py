"""Logging from a training script."""

from __future__ import annotations

import os
import sys
from . import _mle, _signals
from ._db import Database, default_path
from ._errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

    from ._types import Config, Objectives, Path

#: Loggers that a process should close before it ends.
_open: Dict[int, Logger] = {}


def aims(objectives: Objectives) -> List[Tuple[str, str]]:
    """Return pairs of a metric and "min" or "max".

    >>> mle._logger.aims("accuracy:max"), mle._logger.aims({"loss": "min"}), mle._logger.aims(["loss"])
    ([('accuracy', 'max')], [('loss', 'min')], [('loss', 'min')])
    """
    if isinstance(objectives, str):
        objectives = [objectives]
    elif hasattr(objectives, "items"):
        objectives = list(objectives.items())
    words = {"min": "min", "minimize": "min", "max": "max", "maximize": "max"}
    found = []
    for one in objectives:
        if isinstance(one, str) and one in words:
            raise InvalidError(f'objective: "{one}" is a direction; it stands behind a metric, as in "value:{words[one]}"')
        name, goal = one if isinstance(one, tuple) else (one.rpartition(":")[::2] if ":" in one else (one, "min"))
        if goal not in words:
            raise InvalidError(f"objective {name!r}: {goal!r} is neither min nor max")
        found.append((name, words[goal]))
    return found


class Logger(_mle.Logger):
    """Logs to one run; a context manager.

    Inside a job of a worker it logs to the job's run, whatever file and options are given. Elsewhere it makes a run: of a
    new experiment, or of `experiment`.

    A call of :meth:`log` copies numbers into a buffer and returns, in under a microsecond; a thread commits what is there
    every 50 ms. A process that is killed loses what was not committed: at most the last 50 ms or 4,096 updates.
    :meth:`flush` returns when everything is in the file. Leaving the `with` block, or the end of the program, writes
    what waits and ends the run; after an exception, or a signal that ends the program (SIGTERM, SIGHUP, SIGINT), the run
    failed. Handlers of the script are called as before. Where the process was killed, whoever looks at the file next finds
    that, and the run failed.

    Forked children (`os.fork`, `multiprocessing`, data loaders) log to the same run through connections of their own. A
    logger that is pickled to a spawned process goes on with the same run there, and leaves its end to this one.

    Parameters
    ----------
    db : path or Database, optional
        The file; that of `MLE_DB` when left out.
    name : str
        The experiment's name [default: the script's].
    config : dict, argparse.Namespace, dataclass or path, optional
        All inputs of the run except the seed, or a YAML, JSON or TOML file of them.
    seed : int
        What makes the run repeatable.
    experiment : int or str, optional
        Add the run to this experiment: by its id, or by its name, which makes it where there is none. So the runs of several
        loggers, also of several processes, come together.
    run : int, optional
        Go on with this run instead of making one, also when it ended: it is valued anew at its next end. Where other
        processes log it too, the last of them ends it.
    objective : str, dict or list
        What runs are valued by, such as "loss", "accuracy:max", {"loss": "min"}. The last value counts. Of an experiment that is
        there already it is what that one has.
    purpose, project, tags, config_name
        As lists show them.
    sync : bool
        Each call returns once its update is committed.
    from_environment : bool
        Inside a job, log to the job's run.

    Raises
    ------
    ConflictError
        When the job's lease is lost: another attempt does the work.
    InvalidError, WrongFileError, BusyError

    Examples
    --------
    >>> path = "lab.db"
    >>> with mle.Logger(path, config={"lr": 0.1}, objective="loss") as log:
    ...     for step in range(100):
    ...         log.log({"loss": 1 / (1 + step)}, step=step)
    >>> log.db.runs()["value"]
    [0.01]
    """

    def __new__(
        cls,
        db: Union[Database, Path, None] = None,
        *,
        name: str = "",
        config: Optional[Config] = None,
        seed: int = 0,
        experiment: Union[int, str, None] = None,
        run: Optional[int] = None,
        objective: Objectives = (),
        purpose: str = "",
        project: str = "",
        tags: Sequence[str] = (),
        config_name: str = "",
        sync: bool = False,
        from_environment: bool = True,
        keep_open: bool = False,
    ) -> Logger:
        # The native class makes its logger here: `__init__` would come too late.
        script = sys.argv[0] if sys.argv and os.path.isfile(sys.argv[0]) else None
        path = db.path if isinstance(db, Database) else (os.fspath(db) if db is not None else default_path())
        if from_environment and os.environ.get("MLE_RUN"):
            # The job's run, whatever was asked for.
            experiment = None
        join, experiment = (experiment, None) if isinstance(experiment, str) else (None, experiment)
        if join == "":
            raise InvalidError("experiment: the name is empty", "leave experiment out for one of its own")
        if not name:
            stem = os.path.splitext(os.path.basename(sys.argv[0]))[0] if sys.argv else ""
            name = stem if stem not in ("", "-c", "-m") else "log"
        made: Logger = super().__new__(
            cls,
            path,
            name=name,
            purpose=purpose,
            project=project,
            tags=list(tags),
            objectives=[(metric, goal, "last", "mean") for metric, goal in aims(objective)],
            config=as_config(config),
            config_name=config_name,
            seed=seed,
            experiment=experiment,
            join=join,
            run=run,
            from_environment=from_environment,
            keep_open=keep_open,
            script=script,
            sync=sync,
        )
        made._db = None
        made._checkpoints = 0
        _keep(made)
        if objective and (join or experiment):
            made._warn_of_others(aims(objective))
        return made

    _db: Optional[Database]
    _checkpoints: int

    def _warn_of_others(self, wanted: List[Tuple[str, str]]) -> None:
        """Say so where the experiment that is joined is valued by something else."""
        sql = "SELECT o.metric, o.goal FROM objectives o JOIN runs r USING (experiment_id) WHERE r.id = ? ORDER BY o.position"
        found = self.db.sql(sql, [self.run_id])
        has = list(zip(found["metric"], found["goal"]))
        if has != wanted:
            import warnings

            which = ", ".join(f"{metric}:{goal}" for metric, goal in has) or "nothing"
            warnings.warn(f"the experiment is there already and is valued by {which}; the objective given here is left out", stacklevel=3)

    @property
    def db(self) -> Database:
        """The file, to ask it."""
        if self._db is None:
            self._db = Database(_mle.Db(self.path, "existing"))
        return self._db

    @property
    def config(self) -> Dict[str, Any]:
        """The config of the run."""
        return self.db.config(self.run_id)

    def __reduce__(self) -> Any:
        return (_again, (self.path, self.run_id, self.sync))

    def __repr__(self) -> str:
        return f"<mle.Logger of run {self.run_id} in {self.path!r}{', closed' if self.closed else ''}>"

    def _repr_html_(self) -> str:
        from ._chart import sparkline
        from ._html import Html, card, table

        if not self.closed:
            self.flush()
        row = self.db._view("SELECT * FROM runs WHERE id = ?", [self.run_id]).rows()[0]
        found = self.db.summary(self.run_id).rows()[:20]
        names = ("metric", "n", "last", "min", "max")
        columns = [[one[name] for one in found] for name in names]
        lines = []
        for one in found:
            thin = self.db.native.thin(self.run_id, one["metric"], 60)
            lines.append(Html(sparkline([mean for _, mean in thin])))
        facts = [("state", row["state"]), ("experiment", row["experiment"]), ("config", row["params"]), ("seed", row["seed"])]
        facts += [("value", row["value"]), ("error", row["error"])]
        return card("run", row["name"] or self.run_id, facts, table([*names, ""], [*columns, lines], len(found)) if found else "")

    def __enter__(self) -> Logger:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        signal = _signals.raised
        if isinstance(error, SystemExit) and signal is not None:
            self.fail(f"ended by {signal}")
        elif error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.close()
        else:
            self.fail(_reason(error))

    def close(self) -> None:
        """Write what waits and end the run, if this logger made it: it is complete."""
        self._end(None)

    def fail(self, why: str) -> None:
        """Write what waits and end the run, if this logger made it: it failed."""
        self._end(why)

    def _end(self, why: Optional[str]) -> None:
        if self.closed:
            return
        try:
            self.flush()
        finally:
            self.end(why)
            if _open.get(id(self)) is self:
                del _open[id(self)]
            if not _open:
                _signals.unwatch()

    def flush(self) -> None:
        """Return when everything logged before is in the file.

        Warns
        -----
        RuntimeWarning
            For each metric whose values did not fit its kind, and were left out.
        """
        super().flush()
        for why in self.take_refused():
            import warnings

            warnings.warn(why, RuntimeWarning, stacklevel=2)

    def vector(self, name: str, values: Any, step: Optional[int] = None) -> None:
        """Log an array of numbers of any shape: a list, or an array of numpy, torch or jax."""
        self.log({name: values.tolist() if hasattr(values, "tolist") else list(values)}, step)

    def text(self, name: str, text: str, step: Optional[int] = None) -> None:
        """Log a text."""
        self.log({name: str(text)}, step)

    def histogram(self, name: str, values: Any, bins: int = 64, step: Optional[int] = None) -> None:
        """Log how numbers are distributed, as the vector `[edges, counts]`.

        Parameters
        ----------
        values : array of float
            Of any shape. What is not finite is left out.
        bins : int
            Intervals of equal width from the least to the largest.
        """
        edges, counts = _histogram(values, bins)
        self.log({name: [edges, counts]}, step)

    def artifact(
        self, source: Any, name: Optional[str] = None, *, kind: str = "file", step: Optional[int] = None
    ) -> int:
        """Keep a file or bytes with the run.

        Parameters
        ----------
        source : path or bytes
        name : str, optional
            What it is called [default: the file's name].
        kind : str
            file, figure, checkpoint, extra, report, code or config.

        Returns
        -------
        int
            The artifact's id; :meth:`Database.artifact` reads it.
        """
        if name is None:
            if isinstance(source, (bytes, bytearray)):
                raise InvalidError("bytes have no name", "artifact(data, name=…)")
            name = os.path.basename(os.fspath(source))
        data = bytes(source) if isinstance(source, (bytearray, memoryview)) else source
        return self.db.native.add_artifact(
            name, data, run=self.run_id, kind=kind, step=step, attempt=self.attempt
        )

    def table(
        self, name: str, rows: Any, columns: Optional[Sequence[str]] = None, step: Optional[int] = None
    ) -> int:
        """Keep a table as the artifact `NAME.json`: `{"columns": […], "rows": [[…], …]}`.

        Parameters
        ----------
        rows : iterable of dicts or of sequences, or a data frame of pandas or polars
        columns : sequence of str, optional
            The names; needed for sequences.
        """
        import json

        if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
            columns = [str(column) for column in rows.columns]
            listed: List[Any] = rows.rows() if hasattr(rows, "rows") else rows.values.tolist()
        else:
            listed = list(rows)
        if listed and hasattr(listed[0], "keys"):
            if columns is None:
                columns = list(dict.fromkeys(key for row in listed for key in row))
            listed = [[row.get(column) for column in columns] for row in listed]
        if columns is None:
            raise InvalidError(f"table {name!r} has no column names", "table(name, rows, columns=[…])")
        document = _mle.Db.as_document({"columns": list(columns), "rows": listed})
        return self.artifact(json.dumps(document).encode(), f"{name}.json", kind="extra", step=step)

    def image(self, name: str, image: Any, step: Optional[int] = None) -> int:
        """Keep an image as the artifact `NAME.png`.

        Parameters
        ----------
        image : (height, width), (height, width, 1 | 3 | 4) array, PIL image, bytes or path
            Numbers are uint8 from 0 to 255, or floats from 0 to 1. Bytes and files are kept as they are.
        """
        if isinstance(image, (bytes, bytearray, str, os.PathLike)):
            return self.artifact(image, name if "." in name else f"{name}.png", kind="figure", step=step)
        from ._image import png

        return self.artifact(png(image), f"{name}.png", kind="figure", step=step)

    def figure(self, name: str, figure: Any, step: Optional[int] = None) -> int:
        """Keep a figure: of matplotlib as PNG, of plotly as HTML, or anything :meth:`image` takes."""
        if hasattr(figure, "savefig"):
            import io

            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", bbox_inches="tight")
            return self.artifact(buffer.getvalue(), f"{name}.png", kind="figure", step=step)
        if hasattr(figure, "to_html"):
            return self.artifact(figure.to_html().encode(), f"{name}.html", kind="figure", step=step)
        return self.image(name, figure, step)

    def checkpoint(
        self,
        state: Any,
        *,
        step: Optional[int] = None,
        value: Optional[float] = None,
        name: Optional[str] = None,
        init: bool = False,
        last: bool = True,
        every_k: int = 0,
        top_k: int = 0,
        goal: str = "min",
        format: str = "auto",
    ) -> List[Tuple[str, int]]:
        """Keep a checkpoint, and of the earlier ones those that the rules keep.

        Parameters
        ----------
        state : path, bytes or object
            What `format` makes bytes of; files and bytes are kept as they are.
        step, value : optional
            Where on the step axis it was made, and what it is worth.
        init, last : bool
            Keep the first; keep the latest.
        every_k, top_k : int
            Keep each k-th; keep the k best by `value`, small or large as `goal` says.
        format : str
            "torch" (`torch.save`), "safetensors" (nested dicts of arrays of numpy or JAX, such as the parameters of flax),
            "keras" (a model's archive) or "pickle"; "auto" takes torch and keras for what is theirs, safetensors for arrays
            of JAX where it is installed, else pickle, as for estimators of scikit-learn.

        Returns
        -------
        list of (str, int)
            The roles it was kept for and the artifacts' ids.
        """
        self.flush()
        self._checkpoints += 1
        if isinstance(state, (str, os.PathLike)):
            source: Any = os.fspath(state)
            name = name or os.path.basename(source)
        elif isinstance(state, (bytes, bytearray)):
            source, name = bytes(state), name or "checkpoint.bin"
        else:
            from ._checkpoint import dump

            source, suffix = dump(state, format)
            name = name or f"checkpoint{suffix}"
        return self.db.native.add_checkpoint(
            name,
            source,
            run=self.run_id,
            step=step,
            number=self._checkpoints,
            value=value,
            attempt=self.attempt,
            init=init,
            last=last,
            every_k=every_k,
            top_k=top_k,
            goal=goal,
        )

    def latest_checkpoint(self) -> Optional[Tuple[bytes, Optional[int]]]:
        """Return the bytes and the step of the checkpoint to go on from, or None at the beginning."""
        found = self.db.native.latest_checkpoint(self.run_id)
        return None if found is None else (self.db.artifact(found[0]), found[2])

    def restore(self) -> Optional[Tuple[Any, Optional[int]]]:
        """Return the state and the step of the checkpoint to go on from, or None at the beginning.

        What :meth:`checkpoint` made of objects becomes objects again, by the suffix of its name; anything else is bytes.
        Pickles and torch's files can run code when they are loaded: do not call this for a file of a stranger.

        Examples
        --------
        >>> with mle.Logger("lab.db") as log:
        ...     log.checkpoint({"weights": [1.0, 2.0]}, step=7) and log.restore()
        ({'weights': [1.0, 2.0]}, 7)
        """
        found = self.db.native.latest_checkpoint(self.run_id)
        if found is None:
            return None
        from ._checkpoint import load

        return load(self.db.artifact(found[0]), found[1]), found[2]


def _again(path: str, run: int, sync: bool) -> Logger:
    return Logger(path, run=run, sync=sync, keep_open=True)


def _keep(logger: Logger) -> None:
    """Have a logger closed at the end of the program, and flushed at the end of a child of multiprocessing."""
    if not _open:
        import atexit

        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open[id(logger)] = logger
    _signals.watch(_on_signal)
    watch_children()


def _close_all() -> None:
    last = getattr(sys, "last_value", None)
    for logger in list(_open.values()):
        if not logger.is_own:
            logger.flush()
        elif last is not None and not isinstance(last, SystemExit):
            logger.fail(_reason(last))
        elif _signals.raised is not None:
            logger.fail(f"ended by {_signals.raised}")
        else:
            logger.close()


def _on_signal(name: Optional[str]) -> None:
    """Write what waits; where a signal ends the program, end the runs of this process. Nobody is left to hear of an error."""
    for logger in list(_open.values()):
        try:
            if name is None or not logger.is_own:
                _mle.Logger.flush(logger)
            else:
                logger.end(f"ended by {name}")
        except Exception:
            pass


def _reason(error: BaseException) -> str:
    """Return why a run failed.

    >>> mle._logger._reason(ValueError("no data")), mle._logger._reason(KeyboardInterrupt())
    ('ValueError: no data', 'interrupted by SIGINT (KeyboardInterrupt)')
    """
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by SIGINT (KeyboardInterrupt)"
    return f"{type(error).__name__}: {error}"


def as_config(config: Optional[Config]) -> Dict[str, Any]:
    """Return a config as a dict: one that is given, the attributes of a namespace or a dataclass, or the content of a file.

    >>> import argparse
    >>> mle._logger.as_config({"lr": 0.1}), mle._logger.as_config(argparse.Namespace(lr=0.1))
    ({'lr': 0.1}, {'lr': 0.1})
    """
    if config is None:
        return {}
    if hasattr(config, "keys"):
        return dict(config)  # type: ignore[arg-type]
    if hasattr(config, "__dataclass_fields__") and not isinstance(config, type):
        import dataclasses

        return dataclasses.asdict(config)  # type: ignore[arg-type]
    argparse = sys.modules.get("argparse")
    if argparse is not None and isinstance(config, argparse.Namespace):
        return dict(vars(config))
    steps = "config={…}, or the path of a YAML, JSON or TOML file"
    if not isinstance(config, (str, os.PathLike)):
        raise InvalidError(f"config: {type(config).__name__} is no dict", steps)
    if not os.path.isfile(config):
        raise InvalidError(f"config: {os.fspath(config)!r} is no file", steps)
    with open(config, encoding="utf-8") as file:
        found = _mle.Db.parse_text(file.read(), os.fspath(config))
    if not isinstance(found, dict):
        raise InvalidError(f"config: {os.fspath(config)!r} has no keys with values at its top", steps)
    return found


def watch_children() -> None:
    """Have children of multiprocessing flush before they end: they run no `atexit`."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not getattr(watch_children, "done", False):
        util.register_after_fork(_close_all, _in_child)
        watch_children.done = True  # type: ignore[attr-defined]


def _in_child(_: object) -> None:
    import multiprocessing.util

    multiprocessing.util.Finalize(None, _close_all, exitpriority=100)


def _histogram(values: Any, bins: int) -> Tuple[List[float], List[int]]:
    """Return edges and counts.

    >>> mle._logger._histogram([0.0, 1.0, 1.0, float("nan")], 2)
    ([0.0, 0.5, 1.0], [1, 2])
    """
    if bins < 1:
        raise InvalidError(f"bins: {bins} is not a whole number above 0")
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if hasattr(values, "ravel"):
        import numpy

        flat = numpy.asarray(values, dtype="float64").ravel()
        counted, cut = numpy.histogram(flat[numpy.isfinite(flat)], bins)
        return cut.tolist(), counted.tolist()
    numbers = [float(value) for value in values]
    numbers = [value for value in numbers if value - value == 0.0]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = [0] * bins
    for value in numbers:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    return [low + (high - low) * at / bins for at in range(bins + 1)], counts
