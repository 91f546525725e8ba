"""Small things that scripts import."""

from __future__ import annotations

import os
import pickle
import random
import select
import shutil
import subprocess
import sys
from typing import Any, Dict, Optional, Sequence

import mle

from ..config import load_mle_toolbox_config, mle_config
from ..dot import DotMap, dotted

__all__ = [
    "ask_for_binary_input", "ask_for_resource_to_run", "determine_resource", "get_jax_os_ready", "get_os_env_ready",
    "load_config", "load_experiment_config", "load_job_config", "load_mle_toolbox_config", "load_pkl_object", "load_hyper_log",
    "load_result_logs", "combine_experiments", "HyperoptLogger", "print_framed", "save_pkl_object", "set_random_seeds", "setup_proxy_server",
]  # fmt: skip


def load_config(config_fname: str, return_dotmap: bool = False) -> Any:
    """Return a JSON, YAML or TOML file's content."""
    with open(config_fname, encoding="utf-8") as file:
        found = mle._mle.Db.parse_text(file.read(), os.fspath(config_fname))
    return dotted(found) if return_dotmap else found


def load_experiment_config(cmd_args: Any) -> DotMap:
    """Return the experiment file that the command line names, with what the command line changes.

    Parameters
    ----------
    cmd_args
        Has `config_fname`; may have `experiment_dir`, `base_train_fname`, `base_train_config`, `resource_to_run`, `debug`.

    Raises
    ------
    ValueError
        When a block or a key is missing.
    """
    from ..launch.experiment import check_experiment_config

    def told(name: str) -> Any:
        value = cmd_args.get(name) if isinstance(cmd_args, dict) else getattr(cmd_args, name, None)
        return None if isinstance(value, dict) and not value else value

    found = load_config(told("config_fname"))
    if not isinstance(found, dict):
        raise ValueError(f"{told('config_fname')}: an experiment file is a mapping")
    meta = found.setdefault("meta_job_args", {})
    for name in ("experiment_dir", "base_train_fname", "base_train_config"):
        if told(name) is not None:
            meta[name] = told(name)
    meta["debug_mode"] = bool(told("debug"))
    return check_experiment_config(dotted(found))


def load_job_config(config_fname: str, **changes: Any) -> DotMap:
    """Return an experiment file, with changes such as `experiment_dir="…"`."""
    return load_experiment_config({"config_fname": config_fname, **changes})


#: What a hyper log or a search log is made of; nothing else is made when one is read.
_SAFE = {
    ("collections", "OrderedDict"),
    ("dotmap", "DotMap"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.ma.core", "_mareconstruct"),
    ("numpy.ma.core", "MaskedArray"),
    ("numpy.ma", "MaskedArray"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "complex"),
    ("builtins", "slice"),
    ("_codecs", "encode"),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _SAFE:
            raise pickle.UnpicklingError(
                f"the file would make a {module}.{name}, which is none of what logs consist of; it was not read"
            )
        return super().find_class(module, name)


def load_pkl_object(filename: str) -> Any:
    """Return the plain values, arrays and dictionaries of a pickle file.

    Raises
    ------
    pickle.UnpicklingError
        When it would make anything else: reading one must not run a program.
    """
    with open(filename, "rb") as file:
        return _Reader(file).load()


def save_pkl_object(obj: Any, filename: str) -> None:
    """Write a pickle file, all of it or nothing."""
    beside = f"{filename}.new"
    with open(beside, "wb") as file:
        pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)
    os.replace(beside, filename)


def load_hyper_log(hyper_log_fpath: str) -> Any:
    """Return a search's results, `hyper_log.pkl`, as a :class:`~mle_toolbox.results.HyperLog`."""
    from ..results import load_hyper_log as load

    return load(hyper_log_fpath)


def load_result_logs(
    experiment_dir: str = "experiments",
    meta_log_fname: str = "meta_log.hdf5",
    hyper_log_fname: str = "hyper_log.pkl",
    aggregate_seeds: bool = True,
) -> Any:
    """As :func:`mle_toolbox.load_result_logs`."""
    from ..results import load_result_logs as load

    return load(experiment_dir, meta_log_fname, hyper_log_fname, aggregate_seeds)


def combine_experiments(
    experiment_dirs: Sequence[str] = ("experiments",),
    experiment_ids: Optional[Sequence[str]] = None,
    aggregate_seeds: bool = True,
) -> Any:
    """As :func:`mle_toolbox.combine_experiments`."""
    from ..results import combine_experiments as combine

    return combine(experiment_dirs, experiment_ids, aggregate_seeds)


def __getattr__(name: str) -> Any:
    if name == "HyperoptLogger":
        from ..search import HyperoptLogger

        return HyperoptLogger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def print_framed(str_to_print: str, line_width: int = 85, frame_str: str = "=") -> None:
    """Print a text in the middle of a line."""
    print(f" {str_to_print} ".center(line_width, frame_str))


def _ask(question: str, seconds: float = 60) -> Optional[str]:
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return None
    print(question, end="", flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.readline().strip() if ready else None


def ask_for_binary_input(question: str, default_answer: str = "N") -> bool:
    """Ask yes or no at the terminal; the default without an answer in 60 s, or without a terminal."""
    answer = _ask(f"{question} [Y/N] ") or default_answer
    return answer.strip().upper().startswith("Y")


def ask_for_resource_to_run() -> str:
    """Ask where to run at the terminal; "local" without an answer."""
    known = {"1": "local", "2": "slurm-cluster", "3": "sge-cluster"}
    answer = _ask("where to run? 1 local, 2 slurm-cluster, 3 sge-cluster: ") or "1"
    return known.get(answer, answer if answer in known.values() else "local")


def determine_resource() -> str:
    """Return where this machine runs jobs: a cluster whose programs answer, else here."""
    for program, resource in (("squeue", "slurm-cluster"), ("qstat", "sge-cluster")):
        if shutil.which(program) is None:
            continue
        done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return resource
    return "local"


def setup_proxy_server() -> None:
    """Set HTTP_PROXY and HTTPS_PROXY as the configuration says for the cluster this is."""
    wanted = {}
    for name in ("slurm", "sge"):
        info = mle_config[name].get("info") or {}
        for key in ("http_proxy", "https_proxy"):
            if info.get(key):
                wanted.setdefault(key.upper(), info[key])
    for name, value in wanted.items():
        os.environ.setdefault(name, str(value))
    if mle_config.gcp.get("credentials_path"):
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = os.path.expanduser(str(mle_config.gcp["credentials_path"]))


def set_random_seeds(seed_id: Optional[int], return_key: bool = False, verbose: bool = False) -> Any:
    """Seed `random`, and numpy, torch and JAX where they are loaded or asked for; return a JAX key with `return_key`."""
    if seed_id is None:
        if return_key:
            raise ValueError("seed_id is missing, and a JAX key was asked for")
        return None
    seed = int(seed_id)
    os.environ["PYTHONHASHSEED"] = str(seed)
    random.seed(seed)
    import numpy

    numpy.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
    if verbose:
        print(f"random seed: {seed}")
    if return_key:
        import jax

        return jax.random.PRNGKey(seed)
    return None


def get_os_env_ready(
    num_devices: int = 1, mem_prealloc_bool: bool = False, mem_prealloc_frac: float = 0.9, device_type: str = "cpu"
) -> None:
    """Set what XLA reads from the environment: how many devices of the processor, and how much memory it takes at once."""
    if device_type == "cpu" and num_devices > 1:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={num_devices}"
    elif device_type == "gpu":
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true" if mem_prealloc_bool else "false"
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = str(mem_prealloc_frac)


get_jax_os_ready = get_os_env_ready


def config_arguments(words: Any) -> Dict[str, Any]:
    """Return the pairs `-key value` that no parser knew; numbers become floats, keys keep their dash."""
    found: Dict[str, Any] = {}
    rest = list(words)
    while rest:
        key = rest.pop(0)
        value: Any = rest.pop(0) if rest else None
        try:
            value = float(value)
        except (TypeError, ValueError):
            pass
        found[key] = value
    return found
