"""Reading logs, from the database or from HDF5: all as `{seed: {"meta", "stats", "time"}}`."""

import glob
import os

import mle

from . import _hdf5, _store


def flush():
    """Write what loggers of this process have not written."""
    from .mle_logger import flush_all

    flush_all()


def seeds_of_folder(folder):
    """Return `{seed: log}` of a run's folder: from the database, and of the HDF5 files those seeds it has not."""
    flush()
    found = {}
    for path in _store.candidates(folder):
        with mle.open(path, create=False) as db:
            runs = _store.runs_of(db, folder)
            if runs:
                found = dict(zip(runs, _store.read_runs(db, list(runs.values()))))
                break
    for path in sorted(glob.glob(os.path.join(glob.escape(str(folder)), "logs", "*.hdf5"))):
        if found and _hdf5_seed(path) in found:
            continue
        for seed, log in seeds_of_file(path).items():
            found.setdefault(seed, log)
    return dict(sorted(found.items()))


def _hdf5_seed(path):
    """Return the seed that a single log's name says it is of."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return stem[len("log_") :] if stem.startswith("log_") else None


def seeds_of_file(path):
    """Return `{seed: log}` of an HDF5 file of seeds; of `meta_log` files nothing."""
    if not _hdf5.available():
        return {}
    try:
        groups = _hdf5.read(path)
    except OSError as error:
        raise OSError(f"{path}: is no HDF5 log: {error}") from None
    return {seed: _hdf5.decode_log(group) for seed, group in groups.items() if _hdf5.is_log(group)}


def run_below(folder, run):
    """Return `{seed: log}` of the run of a name below a folder.

    Raises
    ------
    FileNotFoundError
    """
    flush()
    places = {}
    for path in _store.candidates(folder):
        with mle.open(path, create=False) as db:
            for place in _store.folders_below(db, folder):
                if os.path.basename(place) == run:
                    places[place] = True
    for place in glob.glob(os.path.join(glob.escape(str(folder)), "**", glob.escape(str(run))), recursive=True):
        if os.path.isdir(place):
            places[os.path.normpath(os.path.abspath(place))] = True
    for place in places:
        seeds = seeds_of_folder(place)
        if seeds:
            return seeds
    raise FileNotFoundError(f"{folder}: there is no log of run {run!r} below it")


def runs_of_file(path):
    """Return what a path that was given for an HDF5 log stands for, as `(kind, content)`.

    kind is "seeds", and content `{seed: log}`; or "runs", and content `{run: {seed: log}}`.

    Raises
    ------
    FileNotFoundError
    """
    flush()
    if os.path.isfile(path):
        groups = _hdf5.read(path)
        if groups and all(_hdf5.is_log(group) for group in groups.values()):
            return "seeds", {seed: _hdf5.decode_log(group) for seed, group in groups.items()}
        runs = {}
        for run, group in groups.items():
            if _hdf5.is_log(group):
                runs[run] = {run: _hdf5.decode_log(group)}
            else:
                runs[run] = {seed: _hdf5.decode_log(log) for seed, log in group.items() if _hdf5.is_log(log)}
        return "runs", runs
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.basename(folder) == "logs":
        seeds = seeds_of_folder(os.path.dirname(folder))
        if seeds:
            named = _hdf5_seed(path)
            return "seeds", {named: seeds[named]} if named in seeds else seeds
    else:
        for at in _store.candidates(folder):
            with mle.open(at, create=False) as db:
                places = [place for place in _store.folders_below(db, folder)]
            if places:
                return "runs", {os.path.basename(place): seeds_of_folder(place) for place in places}
    raise FileNotFoundError(f"there is no log {path}")
