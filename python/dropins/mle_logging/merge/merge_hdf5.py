"""Merging of logs. What is in the database is merged whenever it is read: these write the merged HDF5 files."""

import glob
import os
import time

from .. import _hdf5, _read, _store

#: Seconds that `merge_seed_logs` waits for logs that do not come.
WAIT_S = 600.0


def merge_hdf5_files(new_filename, log_paths, file_ids=None, delete_files=False):
    """Put HDF5 files into one.

    Parameters
    ----------
    new_filename : str
        May be one of `log_paths`: the file is replaced once all is written.
    log_paths : list of str
    file_ids : list of str, optional
        With it, the content of a file goes below a group of that name.
    delete_files : bool
        Delete the sources afterwards.
    """
    log_paths = list(log_paths)
    if file_ids is not None and len(file_ids) != len(log_paths):
        raise ValueError(f"{len(log_paths)} files were given, and {len(file_ids)} names for them")

    def write(merged):
        for at, path in enumerate(log_paths):
            above = merged if file_ids is None else merged.require_group(str(file_ids[at]))
            with _hdf5.opened(path) as source:
                for name in source:
                    if name in above:
                        del above[name]
                    source.copy(name, above)

    _hdf5.replace(new_filename, write)
    if delete_files:
        for path in log_paths:
            if os.path.realpath(path) != os.path.realpath(new_filename):
                os.remove(path)


def merge_seed_logs(merged_path, experiment_dir, num_logs=None, delete_files=True):
    """Put the logs of all seeds in `experiment_dir/logs` into one HDF5 file.

    Nothing is lost whatever happens: seeds that are merged already stay, a source is deleted only once the merged file is
    whole, and seeds that are in the database stay there.

    Parameters
    ----------
    merged_path : str
    experiment_dir : str
        The run's folder.
    num_logs : int, optional
        Wait until so many seeds are there.
    delete_files : bool
        Delete the files of the single seeds.

    Raises
    ------
    FileNotFoundError
        When there is no log.
    TimeoutError
        When the seeds that are waited for do not come for ten minutes.
    """
    begin = time.monotonic()
    try:
        logs = _read.seeds_of_folder(experiment_dir)
    except OSError:
        # Another process may be writing one of those that are waited for.
        if num_logs is None:
            raise
        logs = {}
    seeds = list(logs)
    while num_logs is not None and len(seeds) < num_logs:
        if time.monotonic() - begin > WAIT_S:
            raise TimeoutError(f"{experiment_dir}: {len(seeds)} of {num_logs} logs after {WAIT_S:.0f} s: {', '.join(seeds)}")
        time.sleep(0.2)
        seeds = _read.names_of_seeds(experiment_dir)
        if len(seeds) >= num_logs:
            logs = _read.seeds_of_folder(experiment_dir)
    if not seeds:
        raise FileNotFoundError(f"{experiment_dir}: there is no log to merge")
    if not _store.mirrors() or not _hdf5.can_write():
        return

    def write(file):
        for seed, log in logs.items():
            _hdf5.write_log(file, seed, log)

    _hdf5.replace(merged_path, write)
    if delete_files:
        for path in glob.glob(os.path.join(glob.escape(str(experiment_dir)), "logs", "*.hdf5")):
            if os.path.realpath(path) != os.path.realpath(merged_path):
                os.remove(path)


def write_seed_logs(experiment_dir):
    """Write the HDF5 file of each seed of a run's folder that is in the database alone; return the paths."""
    if not _store.mirrors() or not _hdf5.can_write():
        return []
    folder = os.path.join(experiment_dir, "logs")
    written = []
    for seed, log in _read.seeds_of_folder(experiment_dir).items():
        path = os.path.join(folder, f"log_{seed}.hdf5")
        if not os.path.exists(path):
            _hdf5.replace(path, lambda file, seed=seed, log=log: _hdf5.write_log(file, seed, log, append=True))
            written.append(path)
    return written


def merge_config_logs(experiment_dir, all_run_ids):
    """Put the logs of several configs into `experiment_dir/meta_log.hdf5`.

    Parameters
    ----------
    experiment_dir : str
    all_run_ids : list of str
        Names of folders, at any depth, that hold logs.

    Raises
    ------
    FileNotFoundError
        When a run has no log.
    """
    logs = _read.runs_below(experiment_dir, list(all_run_ids))
    if not _store.mirrors() or not _hdf5.can_write():
        return

    def write(file):
        for run, seeds in logs.items():
            for seed, log in seeds.items():
                _hdf5.write_log(file, f"{run}/{seed}", log)

    _hdf5.replace(os.path.join(experiment_dir, "meta_log.hdf5"), write)
