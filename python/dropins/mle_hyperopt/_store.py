"""Searches in the file: a study with a trial an evaluation, and beside it the whole log as a document.

A search is in the file that `MLE_DB` names, or in `mle.db` in the folder it is saved to. Its experiment is named as the file
that it is saved as, seen from the file's folder.
"""

import math
import os

import mle
from mle_logging._store import candidates, folder_in, mirrors, path_for

from .utils.helpers import as_plain

DOCUMENT = "mle_hyperopt"


def _name(path, save_path):
    folder = folder_in(path, os.path.dirname(os.path.abspath(save_path)))
    stem = os.path.splitext(os.path.basename(save_path))[0]
    return stem if folder == "." else f"{folder}/{stem}"


def follow(strategy):
    """Write new evaluations to the file that `MLE_DB` names, or to the one that the search is in."""
    place = strategy._stored[0] if strategy._stored else os.environ.get("MLE_DB")
    if not place:
        return
    if strategy._stored is None:
        with mle.open(place, create=True) as db:
            strategy._stored = _begin(strategy, db, "search_log")
    _add(strategy)


def save(strategy, save_path):
    """Write the whole search."""
    place = path_for(os.path.dirname(os.path.abspath(save_path)))
    os.makedirs(os.path.dirname(os.path.abspath(place)), exist_ok=True)
    name = _name(place, save_path)
    gone = strategy._stored is not None and not os.path.isfile(strategy._stored[0])
    if strategy._stored is None or gone or os.path.realpath(strategy._stored[0]) != os.path.realpath(place):
        with mle.open(place, create=True) as db:
            strategy._stored, strategy._stored_rows = _begin(strategy, db, name), 0
    _add(strategy)
    path, study, experiment = strategy._stored
    document = {
        "version": 1,
        "name": name,
        "strategy": type(strategy).__name__,
        "log": [_record(record) for record in strategy.log],
        "bounds": as_plain(strategy.space.bounds),
        "last_refined": strategy.last_refined,
        "refine_counter": strategy.refine_counter,
        "state": as_plain(strategy.state()),
    }
    with mle.open(path) as db:
        db.put_document(experiment, DOCUMENT, document)


def _record(record):
    """Return a record as a document, NaN and infinities by name."""

    def named(value):
        if isinstance(value, float) and not math.isfinite(value):
            return {"number": repr(value)}
        if isinstance(value, dict):
            return {key: named(one) for key, one in value.items()}
        return [named(one) for one in value] if isinstance(value, list) else value

    return named(as_plain(record))


def _from_record(value):
    if isinstance(value, dict):
        if set(value) == {"number"} and isinstance(value["number"], str):
            return float(value["number"])
        return {key: _from_record(one) for key, one in value.items()}
    return [_from_record(one) for one in value] if isinstance(value, list) else value


def load(strategy, save_path):
    """Return the stored search of a path, or None where there is none, or one of another strategy."""
    for place in candidates(os.path.dirname(os.path.abspath(save_path))):
        with mle.open(place, create=False) as db:
            name = _name(place, save_path)
            found = db.sql(
                "SELECT a.experiment_id, s.id FROM artifacts a JOIN studies s ON s.experiment_id = a.experiment_id "
                "WHERE a.run_id IS NULL AND a.name = ? ORDER BY a.id DESC",
                [f"{DOCUMENT}.json"],
            )
            for experiment, study in zip(found["experiment_id"], found["id"]):
                document = db.document(experiment, DOCUMENT)
                if document["name"] == name and document["strategy"] == type(strategy).__name__:
                    document["log"] = [_from_record(record) for record in document["log"]]
                    document["study"] = (place, study, experiment)
                    return document
    return None


def _begin(strategy, db, name):
    """Make a study for a search; return `(file, study, experiment)`."""
    space = strategy.space
    described = {}
    for kind, group in (("real", space.real), ("integer", space.integer)):
        for variable, given in group.items():
            if given["begin"] == given["end"]:
                described[variable] = {"type": "categorical", "choices": [given["begin"]]}
            else:
                prior = {"prior": "log"} if given.get("prior") == "log-uniform" else {}
                described[variable] = {"type": kind, "low": given["begin"], "high": given["end"], **prior}
    for variable, values in space.categorical.items():
        described[variable] = {"type": "categorical", "choices": [_choice(value) for value in values]}
    goal = "max" if strategy.maximize_objective else "min"
    count = strategy.num_objectives
    objectives = [("objective" if count == 1 else f"objective_{at}", goal) for at in range(count)]
    taken, unique = set(db.sql("SELECT experiment FROM studies")["experiment"]), name
    at = 2
    while unique in taken:
        unique, at = f"{name} {at}", at + 1
    study, experiment, _ = db.native.add_study(
        unique, described, strategy="random", objectives=objectives, seed=strategy.seed_id, purpose=f"mle_hyperopt: {strategy.search_name}"
    )
    return db.path, study, experiment


def _choice(value):
    """Return a value of a list as a document has it."""
    return as_plain(value) if isinstance(as_plain(value), (str, int, float, bool, type(None))) else repr(value)


def _add(strategy):
    """Add the evaluations that the study does not have yet."""
    path, study, _ = strategy._stored
    if not os.path.isfile(path):
        return
    points = []
    for record in strategy.log[strategy._stored_rows :]:
        params = {}
        for name, value in record["params"].items():
            params[name] = _choice(value) if name in strategy.space.categorical else as_plain(value)
        value = record["objective"]
        values = [float(one) for one in value] if isinstance(value, tuple) else [float(value)]
        points.append((params, values))
    if points:
        with mle.open(path) as db:
            db.native.add_points(study, points, strict=False)
    strategy._stored_rows = len(strategy.log)


__all__ = ["follow", "load", "mirrors", "save"]
