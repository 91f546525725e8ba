"""The README's example runs as it is written."""

import pathlib

import pytest

import mle


def test_the_readme_example_runs():
    pytest.importorskip("pandas")
    readme = pathlib.Path(__file__).parents[2] / "README.md"
    block = readme.read_text(encoding="utf-8").split("```py\n")[1].split("```")[0]
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert len(names["db"].metrics(run=names["log"].run_id)) == 1000
    assert len(names["study"].trials()) == 50


def test_api_names_every_public_name():
    text = (pathlib.Path(__file__).parents[1] / "API.md").read_text(encoding="utf-8")
    missing = [name for name in mle.__all__ if name not in text]
    assert missing == []
