"""Loading of logs and models."""

import os

from .. import _hdf5, _read
from .._dict import AttributeDict
from ..merge.aggregate import aggregate_over_seeds
from ..meta_log import MetaLog

ALONE = "no_seed_provided"


def load_log(experiment_dir, aggregate_seeds=False, reload_log=False):
    """Load what was logged in a run's folder, from the database or from HDF5 files.

    Parameters
    ----------
    experiment_dir : str
        The folder, or a path that ends in `.hdf5`.
    aggregate_seeds : bool
        Return statistics over seeds.
    reload_log : bool
        Return a `MetaLog` also of a run without a seed.

    Returns
    -------
    AttributeDict or MetaLog
        Of a run without a seed its `meta`, `stats` and `time`; else a `MetaLog` with an attribute for each seed, with
        `eval` over all of them, or with one for each run.

    Raises
    ------
    FileNotFoundError
    """
    path = os.fspath(experiment_dir)
    if path.endswith(".hdf5"):
        return load_meta_log(path, aggregate_seeds, reload_log)
    seeds = _read.seeds_of_folder(path)
    if not seeds:
        if os.path.isdir(os.path.join(path, "logs")) and not _hdf5.available():
            raise ModuleNotFoundError(f"{path}/logs: HDF5 needs h5py: pip install h5py")
        raise FileNotFoundError(f"there is no log in {path}")
    return _as_log("seeds", seeds, aggregate_seeds, reload_log)


def load_meta_log(log_fname, aggregate_seeds=True, reload_log=False):
    """Load one log file; as `load_log`, but statistics over seeds unless told otherwise.

    Raises
    ------
    FileNotFoundError
    """
    if os.path.isdir(log_fname):
        steps = f"it reads one file; load_log({os.fspath(log_fname)!r}) reads the folder of an experiment"
        raise IsADirectoryError(f"{os.fspath(log_fname)}: is a folder: {steps}")
    kind, found = _read.runs_of_file(os.fspath(log_fname))
    return _as_log(kind, found, aggregate_seeds, reload_log)


def _as_log(kind, found, aggregate_seeds, reload_log):
    if kind == "seeds":
        if list(found) == [ALONE] and not aggregate_seeds and not reload_log:
            return AttributeDict(found[ALONE])
        log = aggregate_over_seeds(found) if aggregate_seeds else AttributeDict(found)
        return MetaLog(log, non_aggregated=not aggregate_seeds)
    log = aggregate_over_seeds(found, batch_case=True) if aggregate_seeds else AttributeDict(found)
    return MetaLog(log, non_aggregated=not aggregate_seeds)


def load_model(ckpt_path, model_type, model=None):
    """Load a checkpoint that `MLELogger` stored.

    Parameters
    ----------
    ckpt_path : str
    model_type : str
        torch, tensorflow, jax, sklearn or numpy.
    model : optional
        What torch and tensorflow load the parameters into.

    Returns
    -------
    object
        torch: `model`, or the state dict without one; tensorflow: None; else what was stored.

    Notes
    -----
    jax, sklearn and numpy checkpoints are pickles: load only those you trust.
    """
    from ..save.model_log import load_model_ckpt

    return load_model_ckpt(os.fspath(ckpt_path), model_type, model)
