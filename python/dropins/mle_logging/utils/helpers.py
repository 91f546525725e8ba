"""Configs, pickles, HDF5 datasets and moving averages."""

import json
import os
import re

from .. import _yaml
from .._dict import AttributeDict


def load_config(config_fname, return_dotmap=False):
    """Return a config from a `.yaml`, `.yml` or `.json` file.

    Parameters
    ----------
    config_fname : str
    return_dotmap : bool
        Give it attributes for keys.

    Raises
    ------
    ValueError
        For another ending, or a file that cannot be read as what it ends in.
    """
    ending = os.path.splitext(os.fspath(config_fname))[1]
    if ending in (".yaml", ".yml"):
        return load_yaml_config(config_fname, return_dotmap)
    if ending == ".json":
        return load_json_config(config_fname, return_dotmap)
    raise ValueError(f"{config_fname}: configs end in .yaml, .yml or .json")


def _loader():
    """Return a YAML loader of our own that takes 1e-3 as a number; those of the library stay as they are."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        yaml_implicit_resolvers = {
            first: list(found) for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver(*_real())
    return Loader


def yaml_text(document):
    """Return plain values as YAML, such that a text like "1e-3" is read as a text again."""
    import yaml

    class Dumper(yaml.SafeDumper):
        yaml_implicit_resolvers = {
            first: list(found) for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
        }

    Dumper.add_implicit_resolver(*_real())
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


def _real():
    """Return how a float looks that YAML 1.1 takes for a text, as `add_implicit_resolver` takes it."""
    number = r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)|[-+]?(?:[0-9][0-9_]*)\.[0-9_]*|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    return "tag:yaml.org,2002:float", re.compile(f"^(?:{number})$"), list("-+0123456789.")


def load_yaml_config(config_fname, return_dotmap=False):
    """Return a config from a YAML file."""
    text = _text_of(config_fname)
    config = _yaml.load(text)
    if config is None:
        import yaml

        try:
            config = yaml.load(text, Loader=_loader())
        except yaml.YAMLError as error:
            raise ValueError(f"{config_fname}: is no YAML: {error}") from None
    return _shaped(config, return_dotmap)


def load_json_config(config_fname, return_dotmap=False):
    """Return a config from a JSON file; comments that begin with `//` or `#` are left out, and commas before an end."""
    text = _text_of(config_fname)
    try:
        config = json.loads(_without_comments(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{config_fname}:{error.lineno}: is no JSON: {error.msg}") from None
    return _shaped(config, return_dotmap)


def _text_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text in UTF-8: {error}") from None


def _without_comments(text):
    """Blank comments of JSON, and commas before an end, and leave the texts in it alone."""
    blank = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|\#[^\n]*|/\*.*?\*/', re.S)
    text = blank.sub(lambda found: found.group(1) or re.sub(r"[^\n]", " ", found.group(0)), text)
    return re.sub(r'("(?:\\.|[^"\\\n])*")|,(?=\s*[}\]])', lambda found: found.group(1) or " ", text)


def _shaped(config, return_dotmap):
    return AttributeDict(config or {}) if return_dotmap else config


def load_pkl_object(filename):
    """Return what a pickle holds. A pickle can run any code: load only those you trust."""
    import pickle

    with open(filename, "rb") as file:
        return pickle.load(file)


def save_pkl_object(obj, filename):
    """Write an object as a pickle, with the highest protocol."""
    import pickle

    with open(filename, "wb") as file:
        pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)


def write_to_hdf5(log_fname, log_path, data_to_log, dtype="S5000", compress=True):
    """Write one dataset of an HDF5 file, in place of the one there.

    Parameters
    ----------
    log_fname, log_path : str
        The file, and the dataset in it.
    data_to_log : array or list
        Numbers, or texts, which are stored as UTF-8.
    dtype : str, optional
        Of numpy. Texts have the length that they need, whatever it says, and numbers stay numbers.
    """
    import numpy as np

    from .. import _hdf5

    data = _hdf5.as_dataset(data_to_log)
    if dtype is not None and not str(dtype).startswith("S"):
        data = data.astype(dtype)
    with _hdf5.opened(log_fname, "a") as file:
        if log_path in file:
            del file[log_path]
        options = {"compression": "gzip", "compression_opts": 4} if compress and np.ndim(data) else {}
        file.create_dataset(log_path, data=data, **options)


def moving_smooth_ts(ts, window_size=20):
    """Return mean and standard deviation of the last `window_size` values at each place; fewer at the beginning.

    Parameters
    ----------
    ts : (rows,) array of float

    Returns
    -------
    mean, std : (rows,) float64
    """
    import numpy as np

    ts = np.asarray(ts, dtype="float64")
    window = max(1, int(window_size))
    if window == 1 or not len(ts):
        return ts.copy(), np.zeros(len(ts))
    at = np.arange(len(ts))
    view = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(window - 1, np.nan), ts]), window)
    known = np.minimum(at + 1, window)
    mean = np.nansum(view, axis=1) / known
    spread = np.sqrt(np.nansum((view - mean[:, None]) ** 2, axis=1) / known)
    return mean, spread


def tokenize(filename):
    """Return what to sort names by so that numbers in them count as numbers.

    >>> sorted(["run_10", "run_9"], key=tokenize)
    ['run_9', 'run_10']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", str(filename)) if part]
