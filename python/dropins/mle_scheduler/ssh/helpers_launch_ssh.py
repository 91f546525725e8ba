"""The command of a job on an SSH node; all that needs a connection says that it is not available."""

from __future__ import annotations

import os
import shlex
from typing import Any, Mapping, NoReturn, Optional

from .._words import environment_of, interpreter_of, no_backend


def ssh_get_submission_cmd(
    filename: str, cmd_line_arguments: str, job_arguments: Mapping[str, Any], ssh_settings: Mapping[str, Any]
) -> str:
    """Return the command line that says its process id and runs a script in `ssh_settings["remote_dir"]`."""
    wanted = environment_of(job_arguments)
    activate = ""
    if wanted["conda"]:
        name = shlex.quote(str(wanted["conda"]))
        activate = f"source $(conda info --base)/etc/profile.d/conda.sh && conda activate {name} && "
    elif wanted["venv"]:
        home = os.environ.get("WORKON_HOME", "")
        activate = f"source {shlex.quote(os.path.join(home, str(wanted['venv']), 'bin', 'activate'))} && "
    folder = shlex.quote(str(ssh_settings["remote_dir"]))
    inner = f"{activate}cd {folder} && {interpreter_of(filename)[0]} {shlex.quote(filename)} {cmd_line_arguments}"
    # Between single quotes a single quote is written by leaving them; all else stands as it is.
    escaped = inner.replace("'", "'\"'\"'")
    return f"echo $$; /bin/bash -c '{escaped}'"


def _refuse() -> NoReturn:
    raise no_backend("SSH ('ssh-node')")


class SSH_Manager:
    """A connection to a node: not available."""

    def __init__(
        self, user_name: str, pkey_path: str, main_server: str, jump_server: str = "", ssh_port: int = 22
    ) -> None:
        _refuse()


def send_dir_ssh(ssh_settings: Mapping[str, Any], local_dir: Optional[str] = None) -> None:
    """Not available."""
    _refuse()


def copy_dir_ssh(ssh_settings: Mapping[str, Any], remote_dir: str, local_dir: Optional[str] = None) -> None:
    """Not available."""
    _refuse()


def delete_dir_ssh(ssh_settings: Mapping[str, Any]) -> None:
    """Not available."""
    _refuse()


def submit_ssh(
    filename: str, cmd_line_arguments: str, job_arguments: Mapping[str, Any], ssh_settings: Mapping[str, Any]
) -> int:
    """Not available."""
    _refuse()


def monitor_ssh(job_id: int, ssh_settings: Mapping[str, Any]) -> bool:
    """Not available."""
    _refuse()
