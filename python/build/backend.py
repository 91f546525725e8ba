"""Builds the wheel: maturin's, with the programs `mle`, `mle-worker`, … among its scripts.

The programs are those of the Rust package, so that `mle` starts in two milliseconds and workers stay small. With
`MLE_NO_PROGRAMS=1` the wheel has the Python module alone.

`MLE_MANYLINUX=2_31` makes the wheel to be given away: module and programs are linked with zig (the packages `ziglang` and
`cargo-zigbuild`) against the C library of that version, and need nothing newer; maturin checks the module and tags the
wheel, and the programs are checked here.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import maturin
from maturin import *  # noqa: F403 - the hooks that stay as they are

HERE = Path(__file__).resolve().parent.parent
PROGRAMS = ["mle", "mle-worker", "mle-scheduler", "mle-searcher", "mle-reporter"]


#: The oldest C library the wheel is for, such as "2_31" (`gettid` came with 2.30); none: that of this machine.
MANYLINUX = os.environ.get("MLE_MANYLINUX", "")
if MANYLINUX and not re.fullmatch(r"2_[0-9]+", MANYLINUX):
    raise SystemExit(f"MLE_MANYLINUX={MANYLINUX}: a version of glibc such as 2_31 is wanted")


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
    words = [cargo, "build"]
    machine = os.uname().machine
    if MANYLINUX:
        words = ["cargo-zigbuild", "zigbuild", "--target", f"{machine}-unknown-linux-gnu.{MANYLINUX.replace('_', '.')}"]
    subprocess.run([*words, "--bins", "--profile", profile], cwd=root, check=True)
    found = subprocess.run(
        [cargo, "metadata", "--format-version=1", "--no-deps"], cwd=root, check=True, stdout=subprocess.PIPE
    ).stdout
    target = Path(json.loads(found)["target_directory"])
    if MANYLINUX:
        target /= f"{machine}-unknown-linux-gnu"
    target /= {"dev": "debug"}.get(profile, profile)
    for program in PROGRAMS:
        shutil.copy2(target / program, scripts / program)
        _check_symbols(scripts / program)


def _check_symbols(program: Path) -> None:
    """Refuse a program that needs a newer C library than the wheel says."""
    if not MANYLINUX:
        return
    wanted = {tuple(map(int, found.split(b"."))) for found in re.findall(rb"GLIBC_(2\.[0-9]+)", program.read_bytes())}
    newest = max(wanted, default=(2, 0))
    if newest > tuple(map(int, MANYLINUX.split("_"))):
        raise SystemExit(f"{program.name} needs glibc {'.'.join(map(str, newest))}, which is newer than {MANYLINUX}")


def _with_programs(hook, *words):  # type: ignore[no-untyped-def]
    try:
        return hook(*words)
    finally:
        shutil.rmtree(HERE / "mle.data", ignore_errors=True)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):  # type: ignore[no-untyped-def]
    (HERE / "mle.data").mkdir(exist_ok=True)
    return _with_programs(maturin.prepare_metadata_for_build_wheel, metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings=None):  # type: ignore[no-untyped-def]
    return maturin.get_requires_for_build_wheel(config_settings) + (["ziglang", "cargo-zigbuild"] if MANYLINUX else [])


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    _place_programs()
    if MANYLINUX:
        words = os.environ.get("MATURIN_PEP517_ARGS", "")
        os.environ["MATURIN_PEP517_ARGS"] = f"{words} --zig --compatibility manylinux_{MANYLINUX}".strip()
    return _with_programs(maturin.build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    _place_programs()
    return _with_programs(maturin.build_editable, wheel_directory, config_settings, metadata_directory)
