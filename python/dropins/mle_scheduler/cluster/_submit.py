"""What both clusters share: running their programs, and the parts of a submission script."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

import mle

from .._words import interpreter_of

logger = logging.getLogger(__name__)

RULE = 'echo "' + 72 * "-" + '"\n'
ACTIVATED = 'echo "Successfully activated virtual environment - Ready to start job"\n'
#: A submission that is refused is tried so often, with a longer pause each time; then it has failed.
TRIES = 3
PAUSE_S = 1.0


def job_block() -> str:
    """Return the part of a script that runs `{script}` between two times."""
    return (
        "\n"
        + RULE
        + 'echo "Job started on" `date`\n'
        + RULE
        + "{script}\n"
        + RULE
        + 'echo "Job ended on" `date`\n'
        + RULE
    )


def script_of(filename: str, cmd_line_arguments: str) -> str:
    """Return the line of a script that runs the job; the arguments are quoted already."""
    return f"{interpreter_of(filename)[0]} {shlex.quote(filename)} {cmd_line_arguments}"


def literal(text: object) -> str:
    """Return a value as a template's text: `str.format` leaves it as it is.

    Raises
    ------
    ValueError
        For a line break, which would begin a line of its own in the script.
    """
    found = str(text)
    if "\n" in found or "\r" in found:
        raise ValueError(f"{found!r} has a line break, which a submission script cannot hold")
    return found.replace("{", "{{").replace("}", "}}")


def checked(arguments: Mapping[str, Any], needed: Tuple[str, ...], resource: str) -> None:
    missing = [name for name in needed if arguments.get(name) in (None, "")]
    if missing:
        raise KeyError(f"job_arguments for {resource} lack {', '.join(missing)}")
    for name, value in arguments.items():
        if name != "script":
            literal(value)


def prepared(
    filename: str, cmd_line_arguments: str, job_arguments: Mapping[str, Any], queue: str, resource: str
) -> Dict[str, Any]:
    """Return the arguments of a submission script, checked: `queue` names the key of the queues to submit to."""
    arguments: Dict[str, Any] = {"job_name": "job", **job_arguments}
    arguments["script"] = script_of(filename, cmd_line_arguments)
    checked(arguments, (queue, "num_logical_cores"), resource)
    if isinstance(arguments[queue], (list, tuple)):
        arguments[queue] = ",".join(arguments[queue])
    if "env_name" in arguments:
        arguments["env_name"] = shlex.quote(str(arguments["env_name"]))
    if arguments.get("use_venv_venv"):
        arguments["work_on_dir"] = os.environ.get("WORKON_HOME", "~/.virtualenvs")
    return arguments


def days_hours_minutes(time_per_job: object) -> Tuple[int, int, int]:
    """Return the numbers of `dd:hh:mm`.

    Raises
    ------
    ValueError
        For anything else.
    """
    parts = str(time_per_job).split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise ValueError(f"time_per_job {time_per_job!r} is not days, hours and minutes as dd:hh:mm")
    return int(parts[0]), int(parts[1]), int(parts[2])


def call(words: List[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program of the cluster.

    Raises
    ------
    mle.NotFoundError
        When it is not here.
    """
    if shutil.which(words[0]) is None:
        raise mle.NotFoundError(
            f"there is no program {words[0]}", "run this where the cluster's programs are, or use resource_to_run='local'"
        )
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def submit(words: List[str], path: str, text: str, clean_up: bool) -> Optional[str]:
    """Write a script, submit it, and remove it again; return what the program printed, or None when it was refused."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        for one in range(TRIES):
            if one:
                time.sleep(PAUSE_S * 2 ** (one - 1))
            done = call([*words, path])
            if done.returncode == 0:
                return done.stdout
            logger.error("%s refused the job: %s", words[0], (done.stderr or done.stdout).strip())
        return None
    finally:
        if clean_up:
            try:
                os.remove(path)
            except OSError:
                pass


def listing(words: List[str]) -> List[str]:
    """Return the lines of a listing.

    Raises
    ------
    mle.FailedError
        When it cannot be had: then nobody knows which jobs are over.
    """
    for one in range(TRIES + 2):
        if one:
            time.sleep(PAUSE_S * one)
        done = call(words)
        if done.returncode == 0:
            return done.stdout.splitlines()
    raise mle.FailedError(f"{words[0]} does not answer: {done.stderr.strip()}")


def number_of(word: str) -> Optional[int]:
    """Return a job's number; `777_[1-10]` and `777.1` are parts of 777."""
    digits = ""
    for letter in word.strip():
        if not letter.isdigit():
            break
        digits += letter
    return int(digits) if digits else None
