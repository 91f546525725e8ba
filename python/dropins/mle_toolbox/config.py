"""`~/mle_config.toml`: what holds for all experiments of a person."""

from __future__ import annotations

import os
from typing import Any, Dict

import mle

from .dot import DotMap, dotted

PATH = "~/mle_config.toml"

_DEFAULT: Dict[str, Any] = {
    "title": "mle-toolbox-config",
    "general": {
        "local_protocol_fname": "~/local_mle_protocol.db",
        "pkey_path": "~/.ssh/id_rsa",
        "use_conda_venv": False,
        "use_venv_venv": False,
        "use_slack_bot": False,
        "remote_env_name": "mle-toolbox",
        "random_seed": 42,
    },
    "slurm": {"info": {"partitions": []}, "default_job_arguments": {}},
    "sge": {"info": {"queues": []}, "default_job_arguments": {}},
    "gcp": {"use_protocol_sync": False, "use_results_storage": False, "default_job_arguments": {}},
}

#: What `mle-toolbox init` writes.
TEMPLATE = """\
title = "mle-toolbox-config"

[general]
# Where the protocol of all experiments is kept; also: mle protocol list --db FILE
local_protocol_fname = "~/local_mle_protocol.db"
# Which kind of environment jobs are started in, when their file does not say.
use_conda_venv = false
use_venv_venv = false
remote_env_name = "mle-toolbox"
# Of search strategies.
random_seed = 42

[slurm.info]
partitions = []

[slurm.default_job_arguments]
num_logical_cores = 2
job_name = "temp"

[sge.info]
queues = []

[sge.default_job_arguments]
num_logical_cores = 2
job_name = "temp"
"""


def load_mle_toolbox_config(config_fname: str = PATH) -> DotMap:
    """Return the file with attributes; built-in values stand in for what it lacks, or for all of it.

    Raises
    ------
    mle.InvalidError
        For text that is no TOML, with the place.
    """
    path = os.path.expanduser(config_fname)
    found: Dict[str, Any] = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            found = mle._mle.Db.parse_text(file.read(), path)
    for name in ("slurm", "sge"):
        section = found.get(name, {})
        # Some files say `default_job_args`.
        if "default_job_args" in section:
            section.setdefault("default_job_arguments", section["default_job_args"])
        arguments = section.get("default_job_arguments", {})
        if "gpu_tpye" in arguments:
            arguments.setdefault("gpu_type", arguments.pop("gpu_tpye"))
    return dotted(_over(_DEFAULT, found))


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: _over(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    return above


mle_config = load_mle_toolbox_config()
