"""Examples of docstrings and tests run in a folder of their own, outside of any job."""

import os

import pytest

import mle


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch, doctest_namespace):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name != "MLE_PROGRAMS":
            monkeypatch.delenv(name)
    doctest_namespace.update(mle=mle, pytest=pytest)
    return tmp_path
