"""Experiment logs with the interface of mle-logging, in one SQLite file.

See the folder's README for what is kept where, and what differs.
"""

__version__ = "0.1.0"

# By name, where each is: a training script imports what it uses.
_WHERE = {
    "MLELogger": "mle_logger",
    "MetaLog": "meta_log",
    "load_config": "utils",
    "load_log": "load",
    "load_meta_log": "load",
    "load_model": "load",
    "merge_config_logs": "merge",
    "merge_seed_logs": "merge",
}

_MODULES = ("load", "merge", "meta_log", "mle_logger", "save", "utils")

__all__ = [*_WHERE, "__version__"]


def __getattr__(name):
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_WHERE, *_MODULES})
