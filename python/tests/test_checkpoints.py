"""States of all frameworks come back as they were."""

import sys
import types

import pytest

import mle
from mle._checkpoint import dump, load


def back(state, suffix, **options):
    with mle.Logger("lab.db") as log:
        assert log.restore() is None
        ((_, kept), *_) = log.checkpoint(state, step=3, **options)
        assert log.db.artifacts(run=log.run_id)["name"] == [f"checkpoint{suffix}"]
        state, step = log.restore()
        assert step == 3
    return state


def test_anything_that_pickles():
    assert back({"a": [1, (2, 3)], "b": {4}}, ".pkl") == {"a": [1, (2, 3)], "b": {4}}
    with pytest.raises(mle.InvalidError, match="formats are"):
        dump({}, "zip")


def test_files_and_bytes_stay_as_they_are():
    with mle.Logger("lab.db") as log:
        log.checkpoint(b"\x00raw", step=1)
        assert log.restore() == (b"\x00raw", 1)


def test_arrays_of_numpy():
    numpy = pytest.importorskip("numpy")
    found = back({"w": numpy.arange(6.0).reshape(2, 3), "n": 3}, ".pkl")
    assert found["n"] == 3 and found["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_parameters_as_safetensors():
    numpy = pytest.importorskip("numpy")
    pytest.importorskip("safetensors")
    state = {"params": {"dense": {"kernel": numpy.ones((2, 3), "float32").T, "bias": numpy.zeros(())}}, "step": numpy.int64(7)}
    found = back(state, ".safetensors", format="safetensors")
    assert found["params"]["dense"]["kernel"].dtype == "float32" and found["params"]["dense"]["kernel"].shape == (3, 2)
    assert found["params"]["dense"]["bias"].shape == () and found["step"] == 7
    with pytest.raises(mle.InvalidError, match="pickle"):
        dump({"a": [1]}, "safetensors")


def test_arrays_of_jax_are_safetensors_where_it_is_loaded(monkeypatch):
    numpy = pytest.importorskip("numpy")
    pytest.importorskip("safetensors")
    monkeypatch.setitem(sys.modules, "jax", sys.modules.get("jax", types.ModuleType("jax")))
    data, suffix = dump({"w": {"b": numpy.ones(2)}})
    assert suffix == ".safetensors" and load(data, "x" + suffix)["w"]["b"].tolist() == [1, 1]
    assert dump({"w": numpy.ones(2), "epoch": 3})[1] == ".pkl", "not only arrays"


def test_estimators_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    assert back(model, ".pkl").predict([[0.9]]).tolist() == [1]


def test_modules_and_optimizers_of_torch():
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 1)
    found = back({"model": model.state_dict(), "epoch": 3, "weight": model.weight}, ".pt")
    assert torch.equal(found["model"]["weight"], model.weight) and found["epoch"] == 3


def test_models_of_keras():
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    found = back(model, ".keras")
    assert (found.get_weights()[0] == model.get_weights()[0]).all()
