"""Where logs are in the file: finding the file, the runs of a folder, and their columns.

A logged run has an artifact `mle_logging/FOLDER/SEED.json`, FOLDER as seen from the file's folder: which columns there are,
and what else a log says of itself. Rows are updates, counted from 1: the step of the run's metrics.
"""

import json
import os

import mle

FILE = "mle.db"
#: Clocks that each update has.
BUILT_IN = ("time", "time_elapsed", "num_updates")


def mirrors():
    """Return whether files are written beside the database."""
    return os.environ.get("MLE_MIRROR", "1").strip().lower() not in ("0", "false", "no", "off")


def mirrors_later():
    """Return whether a queue writes the HDF5 files of its jobs, when they are done: no job need load HDF5 for it."""
    return os.environ.get("MLE_MIRROR", "").strip().lower() == "later"


def path_for(folder):
    """Return where logs of a folder are written: `MLE_DB`, or a file in it."""
    return os.environ.get("MLE_DB") or os.path.join(folder, FILE)


def candidates(folder):
    """Return the files where logs of a folder may be, the likeliest first."""
    given = os.environ.get("MLE_DB")
    places = [given] if given else []
    at = os.path.abspath(folder)
    for _ in range(3):
        places.append(os.path.join(at, FILE))
        at = os.path.dirname(at)
    return [place for place in dict.fromkeys(places) if os.path.isfile(place)]


def folder_in(path, folder):
    """Return a folder as seen from a file's folder."""
    return os.path.relpath(os.path.realpath(folder), os.path.dirname(os.path.realpath(path))).replace(os.sep, "/")


def document_name(path, folder, seed_id):
    return f"mle_logging/{folder_in(path, folder)}/{seed_id}.json"


def _found(db, where, params):
    frame = db.sql(
        f"SELECT id, run_id, name FROM artifacts WHERE run_id IS NOT NULL AND {where} ORDER BY run_id, id", params
    )
    return list(zip(frame["id"], frame["run_id"], frame["name"]))


def runs_of(db, folder):
    """Return `{seed id: (run, document)}` of a folder: of each seed the latest run."""
    prefix = document_name(db.path, folder, "")[: -len(".json")]
    found = {}
    for artifact, run, name in _found(db, "substr(name, 1, ?) = ?", [len(prefix), prefix]):
        if "/" not in name[len(prefix) :]:
            document = json.loads(db.artifact(artifact))
            found[document["seed_id"]] = (run, document)
    return dict(sorted(found.items()))


def folders_below(db, folder):
    """Return `{folder: {seed id: (run, document)}}` of the folders below (and including) a folder that have logs."""
    top = folder_in(db.path, folder)
    base = os.path.dirname(os.path.realpath(db.path))
    found = {}
    for artifact, run, name in _found(db, "substr(name, 1, 12) = 'mle_logging/'", []):
        place, _, seed = name[len("mle_logging/") : -len(".json")].rpartition("/")
        inside = place == top or (top == "." and not place.startswith("..")) or place.startswith(top + "/")
        if inside:
            found.setdefault(os.path.normpath(os.path.join(base, place)), {})[seed] = (run, artifact)
    return {
        place: {seed: (run, json.loads(db.artifact(artifact))) for seed, (run, artifact) in sorted(seeds.items())}
        for place, seeds in sorted(found.items())
    }


def artifact_at(path):
    """Return the bytes of the artifact that a file would be the mirror of, or None."""
    folder = os.path.dirname(os.path.abspath(path))
    for at in candidates(folder):
        with mle.open(at, create=False) as db:
            base = os.path.dirname(os.path.realpath(at))
            name = os.path.relpath(os.path.realpath(path), base).replace(os.sep, "/")
            found = db.sql("SELECT id FROM artifacts WHERE name = ? ORDER BY id DESC LIMIT 1", [name])["id"]
            if found:
                return db.artifact(found[0])
    return None


def metric_of(column, kind):
    """Return the metric that holds a column's values of a kind: scalar, vector or text."""
    return column["metrics"].get(kind)


def read_runs(db, runs):
    """Return `{"meta", "stats", "time"}` for each `(run, document)`.

    Columns are arrays with a row an update: float64, NaN where nothing was logged, (rows, …) for vectors of one shape,
    of objects for the rest.
    """
    wanted = {"time_elapsed"}
    for _, document in runs:
        for column in document["columns"]:
            if "scalar" in column["metrics"]:
                wanted.add(column["metrics"]["scalar"])
    ids = [run for run, _ in runs]
    import numpy as np

    series = {}
    for run, metric, steps, values, _ in db.native.many_series(ids, sorted(wanted)):
        series[run, metric] = np.frombuffer(steps, "int64"), np.frombuffer(values, "float64")
    return [_read(db, run, document, series) for run, document in runs]


def _read(db, run, document, series):
    import numpy as np

    parts = []
    for column in document["columns"]:
        pieces = []
        for kind, metric in column["metrics"].items():
            if kind == "scalar":
                found = series.get((run, metric))
            else:
                found = (db.native.vectors if kind == "vector" else db.native.texts)(run, metric)
            if found is not None:
                pieces.append((kind, *found))
        parts.append((column, pieces))
    elapsed = series.get((run, "time_elapsed"))
    ends = [int(steps[-1]) for _, pieces in parts for _, steps, _ in pieces if len(steps)]
    rows = max([int(elapsed[0].max())] if elapsed is not None and len(elapsed[0]) else [], default=0)
    rows = max([rows, *ends])
    log = {"meta": meta_of(document), "stats": {}, "time": {}}
    if rows:
        seconds = _place(rows, *elapsed) if elapsed is not None else np.full(rows, np.nan)
        log["time"]["time_elapsed"] = seconds
        log["time"]["num_updates"] = np.arange(1, rows + 1, dtype="float64")
        log["time"]["time"] = _times(document.get("sessions", []), seconds)
    for column, pieces in parts:
        log[column["group"]][column["name"]] = _column(rows, pieces)
    for group in ("stats", "time"):
        log[group] = dict(sorted(log[group].items()))
    return log


def _place(rows, steps, values):
    import numpy as np

    if len(steps) == rows and (not rows or (steps[0] == 1 and steps[-1] == rows)):
        return values
    column = np.full(rows, np.nan)
    column[np.asarray(steps) - 1] = values
    return column


def _column(rows, pieces):
    import numpy as np

    if not pieces:
        return np.full(rows, np.nan)
    kind, steps, values = pieces[0]
    if len(pieces) == 1 and kind == "scalar":
        return _place(rows, steps, values)
    if len(pieces) == 1 and kind == "vector":
        arrays = [np.asarray(value, dtype="float64") for value in values]
        if len({array.shape for array in arrays}) == 1:
            column = np.full((rows, *arrays[0].shape), np.nan)
            column[np.asarray(steps) - 1] = arrays
            return column
    column = np.full(rows, None, dtype=object)
    for kind, steps, values in pieces:
        for step, value in zip(steps, values):
            column[step - 1] = np.asarray(value, dtype="float64") if kind == "vector" else value
    if len(pieces) == 1 and kind == "text" and all(value is not None for value in column):
        return column.astype(str)
    return column


def _times(sessions, seconds):
    """Return wall times as the peer writes them. A session is `[first row, unix time of its elapsed 0]`."""
    import time

    import numpy as np

    starts = sorted(sessions)
    if not starts or not len(seconds):
        return np.full(len(seconds), "")
    rows = np.arange(1, len(seconds) + 1)
    session = np.maximum(np.searchsorted([row for row, _ in starts], rows, side="right") - 1, 0)
    at = np.array([origin for _, origin in starts])[session] + seconds
    known = np.isfinite(at)
    # Few minutes have many rows.
    minutes = np.where(known, at, 0.0) // 60
    begins = np.flatnonzero(np.concatenate([[True], minutes[1:] != minutes[:-1]]))
    texts = [time.strftime("%y-%m-%d/%H:%M", time.localtime(minute * 60)) for minute in minutes[begins].tolist()]
    return np.where(known, np.repeat(np.array(texts), np.diff([*begins, len(minutes)])), "")


def meta_of(document):
    """Return what a log says of itself, with lists of one text as the text, as the peer has them."""
    import numpy as np

    meta = dict(document["meta"])
    for name, value in meta.items():
        if name in ("every_k_storage_time", "top_k_storage_time", "top_k_performance"):
            meta[name] = np.array(value)
        elif name != "config_dict" and isinstance(value, list) and len(value) == 1:
            meta[name] = value[0]
    return dict(sorted(meta.items()))
