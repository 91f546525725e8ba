"""Protocols of mle-monitor itself: a JSON document, however the file is called."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

import mle

#: What the file says of a run, and our word for it.
STATES = {"completed": "complete", "aborted": "cancelled", "failed": "failed"}


def read(path: str) -> Optional[Dict[str, Any]]:
    """Return the document of a protocol of mle-monitor, or None when the file is something else.

    Raises
    ------
    mle.WrongFileError
        When it begins as one and is damaged.
    """
    try:
        with open(path, "rb") as file:
            if file.read(64).lstrip()[:1] != b"{":
                return None
        with open(path, encoding="utf-8") as text:
            found = json.load(text)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise mle.WrongFileError(
            f"{path!r} is a damaged protocol of mle-monitor: {error}", "mend it or move it away; nothing was changed"
        ) from None
    return found if isinstance(found, dict) else None


def replace(path: str, document: Dict[str, Any]) -> str:
    """Put a file of ours with the document's experiments in its place; return where the document was moved to.

    The ids stay. The document is moved only when all of it is in the new file.
    """
    folder, name = os.path.split(os.path.abspath(path))
    kept = path + ".json"
    number = 1
    while os.path.exists(kept):
        number += 1
        kept = f"{path}.{number}.json"
    import tempfile

    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as beside:
        new = os.path.join(beside, name)
        db = mle.open(new, create=True)
        _fill(db, document)
        # The last connection of a process takes the log of changes into the file, which then stands alone.
        db.close()
        os.rename(path, kept)
        for end in ("-wal", ""):
            if os.path.exists(new + end):
                os.rename(new + end, os.path.join(folder, name) + end)
    return kept


def _fill(db: "mle.Database", document: Dict[str, Any]) -> None:
    ids = sorted(int(key) for key in document if key.isdigit())
    for wanted in ids:
        record = dict(document[str(wanted)])
        while True:
            experiment = db.native.add_experiment(
                os.path.basename(os.path.normpath(str(record.get("experiment_dir") or ""))) or "experiment",
                purpose=str(record.get("purpose") or ""),
                project=str(record.get("project_name") or "default"),
                extra=record,
            )
            if experiment >= wanted:
                break
            # An id of one that was deleted there.
            db.native.delete_experiment(experiment)
        status = record.get("job_status")
        db.native.set_state(experiment, "running")
        if status in STATES:
            db.native.set_state(experiment, STATES[status])
