"""The protocol: what was done, why, and how it went."""

from __future__ import annotations

import sys

from ._db import as_database
from ._frame import Column, Frame
from ._logger import aims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

    from ._db import Database
    from ._types import Objectives, Path, Word

_SUMMARY = (
    "id", "name", "purpose", "project", "kind", "state", "runs", "runs_complete", "runs_failed", "metric", "goal", "best",
    "created_at_ms", "ended_at_ms", "tags",
)  # fmt: skip


class Protocol:
    """The experiments of a file.

    Parameters
    ----------
    db : path or Database, optional
        The file; that of `MLE_DB` when left out.

    Examples
    --------
    >>> protocol = mle.Protocol("lab.db")
    >>> new = protocol.add("warm-up", purpose="does warm-up help?", tags=["lr"])
    >>> protocol.note(new, "started on the big machine")
    1
    >>> protocol.update(new, state="running", batch=64)
    >>> protocol.list()["name"], protocol.show(new)["extra"]
    (['warm-up'], {'batch': 64})
    """

    def __init__(self, db: Union[Database, Path, None] = None) -> None:
        self.db = as_database(db)

    def __repr__(self) -> str:
        return f"<mle.Protocol of {self.db.path!r}>"

    def _repr_html_(self) -> str:
        return self.list(limit=20)._repr_html_()

    def __len__(self) -> int:
        return int(self.db.sql("SELECT count(*) FROM experiments").one())

    def add(
        self,
        name: str,
        *,
        purpose: str = "",
        project: str = "",
        tags: Sequence[str] = (),
        objective: Objectives = (),
        kind: str = "log",
        extra: Optional[Mapping[str, Any]] = None,
        cwd: Optional[Path] = None,
        script: Optional[Path] = None,
    ) -> int:
        """Add an experiment in state "planned", with the code and the machine it starts from; return its id.

        Parameters
        ----------
        name, purpose, project, tags
            As lists show them.
        objective : str, dict or list
            What its runs are valued by.
        kind : str
            command, single-config, multiple-configs, hyperparameter-search or log. Schedulers leave "log" alone.
        extra : dict, optional
            Whatever is to be kept with it.
        cwd, script : path, optional
            The folder whose git state is recorded [default: this one], and the script.
        """
        import os

        return self.db.native.add_experiment(
            name,
            kind=kind,
            purpose=purpose,
            project=project,
            tags=list(tags),
            objectives=[(metric, goal, "last", "mean") for metric, goal in aims(objective)],
            extra=dict(extra or {}),
            cwd=None if cwd is None else os.fspath(cwd),
            script=None if script is None else os.fspath(script),
            argv=list(sys.argv),
        )

    def list(
        self,
        *,
        state: Optional[str] = None,
        project: Optional[str] = None,
        tag: Optional[str] = None,
        text: Optional[str] = None,
        kind: Optional[str] = None,
        deleted: bool = False,
        before: Optional[int] = None,
        limit: int = 1000,
    ) -> Frame:
        """Return experiments, newest first.

        Parameters
        ----------
        state, project, tag, kind : str, optional
            Only those.
        text : str, optional
            Only those with this text in name, purpose or a note.
        deleted : bool
            The deleted ones instead.
        before : int, optional
            Only those older than this one: the last of the page before.
        """
        found = self.db.native.list_experiments(
            state=state, project=project, tag=tag, text=text, kind=kind, deleted=deleted, before=before, limit=limit
        )
        return Frame({name: Column("o", [one[name] for one in found]) for name in _SUMMARY})

    def show(self, experiment: Word) -> Dict[str, Any]:
        """Return all about an experiment, deleted or not: notes, spec, git state, environment, extra."""
        return self.db.native.experiment(experiment)

    def find(self, experiment: Word) -> int:
        """Return the id of an experiment by its id, its name (the latest) or the first characters of its uid."""
        return self.db.native.find_experiment(experiment)

    def update(self, experiment: Word, *, state: Optional[str] = None, error: Optional[str] = None, **extra: Any) -> None:
        """Move an experiment to another state, and change keys of what is kept with it.

        Raises
        ------
        ConflictError
            When it cannot go there from where it is.
        """
        found = self.find(experiment)
        if extra:
            self.db.native.update_extra(found, extra)
        if state is not None:
            self.db.native.set_state(found, state, error)

    def tag(self, experiment: Word, *names: str) -> None:
        """Add words to find an experiment by."""
        found = self.find(experiment)
        for name in names:
            self.db.native.tag(found, name)

    def untag(self, experiment: Word, *names: str) -> None:
        """Take tags off."""
        found = self.find(experiment)
        for name in names:
            self.db.native.untag(found, name)

    def note(self, experiment: Word, text: str) -> int:
        """Add a note; return its id."""
        return self.db.native.add_note(self.find(experiment), text)

    def notes(self, experiment: Word) -> List[Dict[str, Any]]:
        """Return the notes of an experiment, oldest first: id, text, at_ms, user_name."""
        found: List[Dict[str, Any]] = self.show(experiment)["notes"]
        return found

    def delete(self, experiment: Word) -> bool:
        """Hide an experiment from lists; return whether it was there to see. Nothing of it is lost."""
        return self.db.native.delete_experiment(self.find(experiment))

    def undelete(self, experiment: int) -> bool:
        """Show a deleted experiment again; return whether it was deleted."""
        return self.db.native.undelete_experiment(experiment)

    def summary(self) -> Dict[str, Any]:
        """Return how many experiments there are in each state, how many runs, and the latest experiment."""
        states = self.db.sql("SELECT state, count(*) AS n FROM experiments GROUP BY state ORDER BY state")
        last = self.list(limit=1).rows()
        return {
            "experiments": len(self),
            "states": dict(zip(states["state"], states["n"])),
            "runs": self.db.sql("SELECT count(*) FROM runs").one(),
            "last": last[0] if last else None,
        }
