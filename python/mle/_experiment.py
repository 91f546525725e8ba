"""Experiments out of specs: what `mle run` does."""

from __future__ import annotations

import os

from ._db import Database, as_database
from ._errors import FailedError, InvalidError
from ._programs import Running, call, program, said
from ._strategy import as_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

    from ._frame import Frame
    from .integrations._outside import OutsideStrategy
    from ._types import Path


class Experiment:
    """An experiment: configs × seeds, or a search whose trials are run by jobs.

    Parameters
    ----------
    spec : dict or path
        As `mle run` takes it: a dict such as `{"name": …, "command": "python train.py --lr {lr}", "search": {…}}`, or a
        YAML, JSON or TOML file.
    db : path or Database, optional
        The file [default: that of `MLE_DB`, else the experiment's name and `.db`].

    Examples
    --------
    >>> spec = {"name": "squares", "command": ["sh", "-c", "mle log loss={x}"], "metric": "loss"}
    >>> spec["search"] = {"strategy": "grid", "space": {"x": [1, 2, 3]}}
    >>> done = mle.Experiment(spec, db="lab.db").run(workers=2)
    >>> done.state, done.leaderboard()["mean"]
    ('complete', [1.0, 2.0, 3.0])
    """

    def __init__(self, spec: Union[Mapping[str, Any], Path], *, db: Union[Database, Path, None] = None) -> None:
        self.spec = spec
        self._folder: Optional[Any] = None
        if isinstance(db, Database):
            self._path = db.path
        elif db is not None:
            self._path = os.path.abspath(os.fspath(db))
        elif os.environ.get("MLE_DB"):
            self._path = os.environ["MLE_DB"]
        elif isinstance(spec, dict):
            self._path = os.path.abspath(f"{spec.get('name', 'experiment')}.db")
        else:
            self._path = os.path.abspath(os.path.splitext(os.path.basename(os.fspath(spec)))[0] + ".db")  # type: ignore[arg-type]
        #: Its id, once it was started.
        self.id: Optional[int] = None

    @property
    def db(self) -> Database:
        """The file."""
        return as_database(self._path)

    def _words(self, options: Sequence[str]) -> List[str]:
        """Return the command line; a spec that is a dict becomes a file beside where we stand."""
        if not isinstance(self.spec, dict):
            path = os.path.abspath(os.fspath(self.spec))  # type: ignore[arg-type]
        else:
            import json
            import tempfile

            from . import _mle

            self._folder = tempfile.TemporaryDirectory(prefix="mle-")
            path = os.path.join(self._folder.name, "spec.json")
            spec = dict(self.spec)
            if hasattr(spec.get("search"), "items"):
                spec["search"] = {key: as_space(value) if key == "space" else value for key, value in spec["search"].items()}
            document: Dict[str, Any] = _mle.Db.as_document(spec)
            # Paths of a spec are from where it lies; a dict lies where we stand.
            document.setdefault("cwd", os.getcwd())
            with open(path, "w", encoding="utf-8") as file:
                json.dump(document, file)
        return [program("mle"), "run", path, "--db", self._path, "--json", *options]

    def _options(self, workers: Optional[int], seeds: Optional[int], changes: Optional[Mapping[str, Any]]) -> List[str]:
        import json

        options: List[str] = []
        if workers is not None:
            options += ["--workers", str(workers)]
        if seeds is not None:
            options += ["--seeds", str(seeds)]
        for key, value in (changes or {}).items():
            options += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return options

    def plan(self) -> Dict[str, Any]:
        """Check the spec and return what would be done; writes nothing."""
        import json

        found: Dict[str, Any] = json.loads(call(self._words(["--dry-run"])))
        return found

    def start(
        self, workers: Optional[int] = None, *, seeds: Optional[int] = None, changes: Optional[Mapping[str, Any]] = None
    ) -> Running:
        """Store it, and start it in a process of its own, which goes on when this one ends.

        Parameters
        ----------
        workers, seeds : int, optional
            Jobs at once; seeds for each config.
        changes : dict, optional
            Keys of the spec to change, such as `{"search.trials": 50}`.

        Raises
        ------
        InvalidError
            For a bad spec, with the place of the error.
        """
        import json

        stored = call(self._words(["--enqueue", *self._options(workers, seeds, changes)]))
        self.id = int(json.loads(stored)["experiment"])
        return Running(self._go_on(workers))

    def _go_on(self, workers: Optional[int]) -> List[str]:
        words = [program("mle"), "run", "--db", self._path, "--experiment", str(self._known()), "--json"]
        return words + self._options(workers, None, None)

    def run(
        self,
        workers: Optional[int] = None,
        *,
        seeds: Optional[int] = None,
        changes: Optional[Mapping[str, Any]] = None,
        strategy: Optional[OutsideStrategy] = None,
    ) -> Experiment:
        """Run it to its end on this machine, with the arguments of :meth:`start`; return itself.

        Ctrl-C pauses it, and :meth:`resume` goes on. Runs that failed are no exception: see :attr:`state`.

        Parameters
        ----------
        strategy : OutsideStrategy, optional
            Proposes the points of its search, in this process, such as `mle.integrations.OptunaStrategy(sampler)`.

        Raises
        ------
        InvalidError
            For a bad spec, with the place of the error.
        FailedError
            When the program that runs it cannot work.
        """
        if strategy is not None:
            named = {"search.strategy": "external", "search.settings": strategy.settings()}
            changes = {**named, **(changes or {})}
        return self._wait(self.start(workers, seeds=seeds, changes=changes), strategy)

    def resume(self, workers: Optional[int] = None, *, strategy: Optional[OutsideStrategy] = None) -> Experiment:
        """Go on with it when it was paused, to its end, with the `strategy` of :meth:`run`; return itself."""
        return self._wait(Running(self._go_on(workers)), strategy)

    def _wait(self, running: Running, strategy: Optional[OutsideStrategy]) -> Experiment:
        try:
            if strategy is None:
                running.wait()
            else:
                from .integrations._outside import serving

                with serving(strategy, self):
                    running.wait()
        except BaseException:
            running.stop()
            raise
        if self.state not in ("complete", "failed", "cancelled", "paused"):
            raise FailedError(*said(running.said()))
        return self

    def _known(self) -> int:
        if self.id is None:
            raise InvalidError("the experiment was not started")
        return self.id

    @property
    def state(self) -> str:
        """planned, running, complete, failed, cancelled or paused."""
        return str(self.db.sql("SELECT state FROM experiments WHERE id = ?", [self._known()]).one())

    @property
    def error(self) -> Optional[str]:
        """Why it failed."""
        found = self.db.sql("SELECT error FROM experiments WHERE id = ?", [self._known()]).one()
        return None if found is None else str(found)

    def runs(self) -> Frame:
        """Return its runs."""
        return self.db.runs(self._known())

    def leaderboard(self) -> Frame:
        """Return its configs by their mean over seeds, best first."""
        return self.db.leaderboard(self._known())

    def cancel(self) -> None:
        """Start nothing more, and stop what runs."""
        self.db.native.steer_experiment(self._known(), "cancel")

    def pause(self) -> None:
        """Start nothing more; what runs goes on."""
        self.db.native.steer_experiment(self._known(), "pause")

    def __repr__(self) -> str:
        return f"<mle.Experiment {self.id if self.id is not None else 'not started'} in {self._path!r}>"

    def _repr_html_(self) -> str:
        from html import escape

        from ._html import card

        if self.id is None:
            import json

            text = json.dumps(self.spec, indent=1, default=str) if isinstance(self.spec, dict) else str(self.spec)
            return card("experiment", "not started", [("file", self._path)], f'<pre style="margin:0">{escape(text[:4000])}</pre>')
        row = self.db.sql("SELECT * FROM experiments WHERE id = ?", [self.id]).rows()[0]
        facts = [(name, row[name]) for name in ("state", "kind", "purpose")]
        facts += [("runs", f"{row['runs_complete']} of {row['runs']}"), ("metric", row["metric"]), ("error", row["error"])]
        board = self.leaderboard()
        return card("experiment", row["name"], facts, board._html() if len(board) else self.runs()._html())
