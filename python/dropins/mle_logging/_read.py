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
    return _with_files(folder, found)


def names_of_seeds(folder):
    """Return the seeds of a run's folder, without their logs."""
    flush()
    found = {}
    for path in _store.candidates(folder):
        with mle.open(path, create=False) as db:
            found = dict.fromkeys(_store.runs_of(db, folder))
        if found:
            break
    for path in glob.glob(os.path.join(glob.escape(str(folder)), "logs", "*.hdf5")):
        if _hdf5_seed(path) in found or not _hdf5.available():
            continue
        try:
            with _hdf5.opened(path) as file:
                found.update(dict.fromkeys(file))
        except OSError:
            # Another process may be writing it.
            continue
    return sorted(found)


def _with_files(folder, found):
    """Add the seeds that only HDF5 files of a folder have."""
    for path in sorted(glob.glob(os.path.join(glob.escape(str(folder)), "logs", "*.hdf5"))):
        if found and _hdf5_seed(path) in found:
            continue
        for seed, log in seeds_of_file(path, found).items():
            found.setdefault(seed, log)
    return dict(sorted(found.items()))


def _hdf5_seed(path):
    """Return the seed that a single log's name says it is of."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return stem[len("log_") :] if stem.startswith("log_") else None


def seeds_of_file(path, without=()):
    """Return `{seed: log}` of an HDF5 file of seeds; of `meta_log` files nothing."""
    if not _hdf5.available():
        return {}
    try:
        groups = _hdf5.read(path, without)
    except OSError as error:
        raise OSError(f"{path}: is no HDF5 log: {error}") from None
    return {seed: _hdf5.decode_log(group) for seed, group in groups.items() if _hdf5.is_log(group)}


def _of_database(folder, wanted=None):
    """Return `{folder: {seed: log}}` of the folders below one that the database has, all of it in one go."""
    for path in _store.candidates(folder):
        with mle.open(path, create=False) as db:
            places = {
                place: seeds
                for place, seeds in _store.folders_below(db, folder).items()
                if wanted is None or os.path.basename(place) in wanted
            }
            if places:
                logs = iter(_store.read_runs(db, [run for seeds in places.values() for run in seeds.values()]))
                return {place: {seed: next(logs) for seed in seeds} for place, seeds in places.items()}
    return {}


def runs_below(folder, runs):
    """Return `{run: {seed: log}}` of runs by their names, at any depth below a folder.

    Raises
    ------
    FileNotFoundError
    """
    flush()
    found = {}
    for place, seeds in _of_database(folder, set(runs)).items():
        found.setdefault(os.path.basename(place), _with_files(place, seeds))
    for run in runs:
        if run in found:
            continue
        places = glob.glob(os.path.join(glob.escape(str(folder)), "**", glob.escape(str(run))), recursive=True)
        seeds = next((seeds for seeds in map(seeds_of_folder, filter(os.path.isdir, sorted(places))) if seeds), None)
        if seeds is None:
            raise FileNotFoundError(f"{folder}: there is no log of run {run!r} below it")
        found[run] = seeds
    return {run: found[run] for run in runs}


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
        places = _of_database(folder)
        if places:
            return "runs", {os.path.basename(place): seeds for place, seeds in places.items()}
    raise FileNotFoundError(f"there is no log {path}")
