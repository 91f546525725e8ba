"""Configs and logs of searches."""

import json
import math
import os


def flatten_config(dictionary, parent_key="", sep="/"):
    """Return nested dicts as one.

    >>> flatten_config({"a": {"b": 1}})
    {'a/b': 1}
    """
    found = {}
    for key, value in dictionary.items():
        name = f"{parent_key}{sep}{key}" if parent_key else key
        if hasattr(value, "items") and value:
            found.update(flatten_config(value, name, sep))
        else:
            found[name] = value
    return found


def unflatten_config(dictionary, sep="/"):
    """Return one dict as nested ones.

    >>> unflatten_config({"a/b": 1, "c": 2})
    {'a': {'b': 1}, 'c': 2}
    """
    made = {}
    for name, value in dictionary.items():
        at = made
        *above, last = name.split(sep) if isinstance(name, str) else [name]
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
    return made


def merge_config_dicts(dict1, dict2):
    """Yield pairs of key and value of both dicts, nested ones together; the second one's count.

    >>> dict(merge_config_dicts({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}}))
    {'a': {'b': 1, 'd': 3}, 'c': 2}
    """
    for key in dict.fromkeys([*dict1, *dict2]):
        if key not in dict2:
            yield key, dict1[key]
        elif key in dict1 and hasattr(dict1[key], "items") and hasattr(dict2[key], "items"):
            yield key, dict(merge_config_dicts(dict1[key], dict2[key]))
        else:
            yield key, dict2[key]


def as_plain(value):
    """Return what YAML and JSON have forms for: lists for tuples and arrays, numbers for those of numpy."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(as_plain(key)) if not isinstance(key, (str, int)) else key: as_plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [as_plain(one) for one in value]
    if value is None or isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins":
        return value
    if hasattr(value, "tolist"):
        return as_plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return str(value)


def _replace(path, text):
    """Write a text in place of a file, all of it or nothing; make the folder."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def save_yaml(obj, filename):
    """Write plain values as YAML."""
    from mle_logging import _yaml

    document = as_plain(obj)
    text = _yaml.dump(document)
    if text is None:
        from mle_logging.utils.helpers import yaml_text

        text = yaml_text(document)
    _replace(filename, text)


def load_yaml(filename, keys_to_list=True):
    """Return what a YAML file holds, 1e-3 as a number; of a mapping its values as a list, or with `keys_to_list` False itself."""
    from mle_logging.utils import load_yaml_config

    found = load_yaml_config(filename)
    return list(found.values()) if keys_to_list and isinstance(found, dict) else found


def save_log(obj, filename):
    """Write a log of records: `.yaml` by evaluation, `.json` as a list.

    Raises
    ------
    ValueError
        For another ending.
    """
    ending = os.path.splitext(os.fspath(filename))[1]
    if ending == ".yaml":
        save_yaml({str(record["eval_id"]): record for record in obj}, filename)
    elif ending == ".json":
        _replace(filename, json.dumps(as_plain(obj), indent=1))
    else:
        raise ValueError(f"{filename}: logs end in .yaml, .json or .pkl")


def load_log(filename):
    """Return the records of a log in the order they were told.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    ending = os.path.splitext(os.fspath(filename))[1]
    if ending == ".yaml":
        found = load_yaml(filename, False) or {}
        if not isinstance(found, dict) or any(not isinstance(one, dict) for one in found.values()):
            raise ValueError(f"{filename}: is no log of a search")
        return [found[name] for name in sorted(found, key=lambda name: int(name))]
    if ending == ".json":
        with open(filename, encoding="utf-8") as file:
            try:
                return json.load(file)
            except ValueError as error:
                raise ValueError(f"{filename}: is no log of a search: {error}") from None
    raise ValueError(f"{filename}: logs end in .yaml, .json or .pkl")


def save_strategy(obj, filename):
    """Write a whole strategy as a pickle."""
    os.makedirs(os.path.dirname(os.path.abspath(filename)), exist_ok=True)
    import pickle

    with open(filename, "wb") as file:
        pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)


def load_strategy(filename):
    """Return the strategy in a pickle. A pickle can run any code: load only those you trust."""
    import pickle

    with open(filename, "rb") as file:
        return pickle.load(file)


def load_search_log(log_fname):
    """Return a log of a search as a data frame of pandas: a row an evaluation."""
    return records_frame(load_log(log_fname))


def records_frame(records):
    """Return records as a data frame: eval_id, objective, parameters, and what else there is."""
    import pandas as pd

    rows = []
    for record in records:
        row = {"eval_id": record["eval_id"], "objective": record["objective"]}
        row.update(record["params"])
        row.update(record.get("extra", {}))
        rows.append(row)
    return pd.DataFrame(rows)


def write_configs(params_batch, config_fnames):
    """Write configs as `.yaml` or `.json` files.

    Raises
    ------
    ValueError
        For another ending, or names that are not as many as configs.
    """
    if len(params_batch) != len(config_fnames):
        raise ValueError(f"{len(params_batch)} configs were given, and {len(config_fnames)} names for them")
    for params, name in zip(params_batch, config_fnames):
        ending = os.path.splitext(os.fspath(name))[1]
        if ending == ".yaml":
            save_yaml(params, name)
        elif ending == ".json":
            _replace(name, json.dumps(as_plain(params), indent=1))
        else:
            raise ValueError(f"{name}: configs end in .yaml or .json")


def is_missing(value):
    """Return whether a value is None or NaN."""
    return value is None or isinstance(value, float) and math.isnan(value)
