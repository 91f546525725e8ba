"""Builds the wheel: maturin's, with the programs `mle`, `mle-worker`, … among its scripts.

The programs are those of the Rust package, so that `mle` starts in two milliseconds and workers stay small. With
`MLE_NO_PROGRAMS=1` the wheel has the Python module alone.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import maturin
from maturin import *  # noqa: F403 - the hooks that stay as they are

HERE = Path(__file__).resolve().parent.parent
PROGRAMS = ["mle", "mle-worker", "mle-scheduler", "mle-searcher", "mle-reporter"]


def _profile() -> str:
    words = os.environ.get("MATURIN_PEP517_ARGS", "").split()
    for place, word in enumerate(words):
        if word == "--profile":
            return words[place + 1]
        if word.startswith("--profile="):
            return word.partition("=")[2]
    return "release"


def _place_programs() -> None:
    scripts = HERE / "mle.data" / "scripts"
    shutil.rmtree(scripts.parent, ignore_errors=True)
    scripts.mkdir(parents=True)
    if os.environ.get("MLE_NO_PROGRAMS") == "1":
        return
    root, profile = HERE.parent, _profile()
    cargo = os.environ.get("CARGO", "cargo")
    subprocess.run([cargo, "build", "--bins", "--profile", profile], cwd=root, check=True)
    found = subprocess.run(
        [cargo, "metadata", "--format-version=1", "--no-deps"], cwd=root, check=True, stdout=subprocess.PIPE
    ).stdout
    target = Path(json.loads(found)["target_directory"]) / {"dev": "debug"}.get(profile, profile)
    for program in PROGRAMS:
        shutil.copy2(target / program, scripts / program)


def _with_programs(hook, *words):  # type: ignore[no-untyped-def]
    try:
        return hook(*words)
    finally:
        shutil.rmtree(HERE / "mle.data", ignore_errors=True)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):  # type: ignore[no-untyped-def]
    (HERE / "mle.data").mkdir(exist_ok=True)
    return _with_programs(maturin.prepare_metadata_for_build_wheel, metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    _place_programs()
    return _with_programs(maturin.build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    _place_programs()
    return _with_programs(maturin.build_editable, wheel_directory, config_settings, metadata_directory)
