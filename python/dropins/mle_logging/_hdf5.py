"""Logs as HDF5: reading them, and writing them beside the file."""

import json
import os
import warnings

from ._lazy import np

_TEXT_LENGTHS = 64
_is_told = False


def available():
    """Return whether HDF5 can be written."""
    try:
        import h5py  # noqa: F401
    except ImportError:
        return False
    return True


def can_write():
    """Return whether HDF5 can be written; where it cannot, say so once."""
    global _is_told
    if available():
        return True
    if not _is_told:
        _is_told = True
        steps = "pip install h5py, or set MLE_MIRROR=0 to do without"
        warnings.warn(f"no logs/*.hdf5 are written, as h5py is not installed; mle.db has everything ({steps})", stacklevel=3)
    return False


def opened(path, mode="r"):
    try:
        import h5py
    except ImportError:
        raise ModuleNotFoundError(f"{path}: HDF5 needs h5py: pip install h5py") from None
    return h5py.File(path, mode)


def read(path, without=()):
    """Return the groups of a file as dicts, its datasets as arrays; none of the groups `without`."""
    with opened(path) as file:
        return {name: group for name, group in _group(file.id, without).items() if isinstance(group, dict)}


def _group(group, without=()):
    """Return what is in a group, by h5py's own layer below its groups: a log has many that are small."""
    import h5py

    found = {}
    for name in group:
        text = name.decode("utf-8", "surrogateescape")
        if text in without:
            continue
        item = h5py.h5o.open(group, name)
        found[text] = _group(item) if isinstance(item, h5py.h5g.GroupID) else _dataset(item)
    return found


def _dataset(item):
    import h5py

    shape, dtype = item.shape, item.dtype
    if not shape or dtype.kind not in "biufS" or dtype.metadata:
        return h5py.Dataset(item)[()]
    found = np.empty(shape, dtype)
    if found.size:
        item.read(h5py.h5s.ALL, h5py.h5s.ALL, found)
    return found


def is_log(group):
    """Return whether a group is the log of one run: `meta`, `stats` or `time` below it and no more."""
    return bool(group) and set(group) <= {"meta", "stats", "time"}


def decode_log(group):
    """Return a run's log with texts for bytes."""
    meta = {}
    for name, value in group.get("meta", {}).items():
        meta[name] = _decode(name, value)
    return {
        "meta": meta,
        "stats": {name: _texts(value) for name, value in _flat(group.get("stats", {}))},
        "time": {name: _texts(value) for name, value in _flat(group.get("time", {}))},
    }


def _flat(group, above=""):
    """Yield the datasets of a group; names with slashes are groups inside it."""
    for name, value in group.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}/")
        else:
            yield above + name, value


def _texts(value):
    value = np.asarray(value)
    if value.dtype.kind in "SO":
        return np.array([_text(one) for one in value.ravel().tolist()]).reshape(value.shape)
    return value


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _decode(name, value):
    value = np.asarray(value)
    if value.dtype.kind not in "SOU":
        return value
    texts = [_text(one) for one in value.ravel().tolist()]
    decoded = texts[0] if len(texts) == 1 else texts
    return read_config(decoded) if name == "config_dict" and isinstance(decoded, str) else decoded


def read_config(text):
    """Return a config from its text: JSON, or what Python prints of a dict."""
    import ast

    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    try:
        # NaN and infinities as Python prints them.
        import re

        return json.loads(json.dumps(ast.literal_eval(re.sub(r"\b(nan|inf)\b", r"'\1'", text))))
    except (ValueError, SyntaxError):
        return text


def write_dataset(file, path, value, append=False):
    """Write one column. With `append` the rows that are there already stay, if they can."""
    array = as_dataset(value)
    old = file.get(path)
    if old is not None:
        fits = append and old.dtype == array.dtype and old.shape[1:] == array.shape[1:] and old.maxshape[0] is None
        if fits and old.shape[0] <= array.shape[0]:
            had = old.shape[0]
            if array.shape[0] > had:
                old.resize(array.shape[0], axis=0)
                old[had:] = array[had:]
            return
        del file[path]
    options = {}
    if append and array.ndim and array.shape[0]:
        row = max(1, array[0].nbytes)
        options = {"maxshape": (None, *array.shape[1:]), "chunks": (max(1, min(1024, 65536 // row)), *array.shape[1:])}
        options["compression"], options["compression_opts"] = "gzip", 4
    file.create_dataset(path, data=array, **options)


def as_dataset(value):
    """Return an array that HDF5 has a type for: numbers, or UTF-8 bytes."""
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "S":
        return array
    texts = ["" if one is None else (one if isinstance(one, str) else json.dumps(plain(one))) for one in array.ravel().tolist()]
    encoded = [text.encode("utf-8") for text in texts]
    length = max([_TEXT_LENGTHS if len(encoded) > 1 else 1, *map(len, encoded)])
    return np.array(encoded, dtype=f"S{length}").reshape(array.shape)


def plain(value):
    """Return a value as JSON has it."""
    import mle

    return mle._mle.Db.as_document(value)


def write_log(file, prefix, log, append=False):
    """Write one run's `{"meta", "stats", "time"}` below a group."""
    new = not append and prefix not in file
    for name, value in log["meta"].items():
        if name == "config_dict":
            value = [repr(value)]
        elif isinstance(value, str):
            value = [value]
        (_add_dataset if new else write_dataset)(file, f"{prefix}/meta/{name}", value)
    for group in ("stats", "time"):
        for name, value in log[group].items():
            if not len(value):
                continue
            if new:
                _add_dataset(file, f"{prefix}/{group}/{name}", value)
            else:
                write_dataset(file, f"{prefix}/{group}/{name}", value, append)


def _add_dataset(file, path, value):
    """Write a column that is not there yet, without what h5py does for those that are chunked or compressed."""
    from h5py import h5d, h5p, h5s, h5t

    array = np.ascontiguousarray(as_dataset(value))
    above = h5p.create(h5p.LINK_CREATE)
    above.set_create_intermediate_group(True)
    above.set_char_encoding(h5t.CSET_UTF8)
    space = h5s.create_simple(array.shape) if array.ndim else h5s.create(h5s.SCALAR)
    made = h5d.create(file.id, path.encode(), h5t.py_create(array.dtype, logical=True), space, lcpl=above)
    if array.size:
        made.write(h5s.ALL, h5s.ALL, array)


def replace(path, write):
    """Write a file in place of another, all of it or nothing."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with opened(temporary, "w") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
