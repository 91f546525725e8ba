"""The programs that come with the package."""

from __future__ import annotations

import os
import sys
from ._errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional


def program(name: str) -> str:
    """Return the path of `mle`, `mle-worker`, `mle-scheduler`, `mle-searcher` or `mle-reporter`.

    Looked for in the folder `MLE_PROGRAMS` names, beside the interpreter, and on the PATH.

    Raises
    ------
    NotFoundError
    """
    import shutil
    import sysconfig

    folders = [
        os.environ.get("MLE_PROGRAMS", ""),
        sysconfig.get_path("scripts"),
        os.path.dirname(sys.executable),
        os.path.join(os.path.expanduser("~"), ".local", "bin"),
    ]
    for folder in folders:
        path = os.path.join(folder, name) if folder else ""
        if path and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which(name)
    if found is None:
        raise NotFoundError(f"there is no program {name}", "install the package's wheel, or set MLE_PROGRAMS to its folder")
    return found


def environment() -> Dict[str, str]:
    """Return the environment for a program that is started here.

    Without what a worker told its job, as the program is on its own; with this interpreter and our programs first on the
    PATH, so that jobs find them.
    """
    told = ("RUN", "JOB", "ATTEMPT", "WORKER", "PARAMS", "SEED", "CONFIG", "RESUME", "EXP_DIR")
    found = {name: value for name, value in os.environ.items() if name not in {f"MLE_{word}" for word in told}}
    folders = [os.path.dirname(sys.executable), os.path.dirname(program("mle")), found.get("PATH", "")]
    found["PATH"] = os.pathsep.join(dict.fromkeys(folder for folder in folders if folder))
    return found


def said(text: str) -> "tuple[str, Optional[str]]":
    """Return what one of our programs says went wrong with `--json`, and the next step."""
    import json

    try:
        found = json.loads(text)
        return str(found["error"]), found.get("hint")
    except (ValueError, KeyError, TypeError):
        return text[-2000:], None


def call(words: List[str], cwd: Optional[str] = None) -> str:
    """Run a program to its end; return what it printed.

    Raises
    ------
    FailedError
        With what it said, when it does not end well.
    """
    import subprocess

    from ._errors import FailedError

    done = subprocess.run(
        words, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise FailedError(*said(done.stderr.strip() or done.stdout.strip()))
    return done.stdout
