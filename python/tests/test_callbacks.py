"""Callbacks for training libraries, each tried with the library where it is installed."""

import os

import pytest

import mle


def of(path):
    """The metrics of the only run of a file, and its state."""
    db = mle.open(path)
    runs = db.runs()
    assert len(runs) == 1, runs.rows()
    metrics = {name: db.series(runs["id"][0], name) for name in db.summary()["metric"]}
    return runs["state"][0], {name: (list(steps), list(values)) for name, (steps, values) in metrics.items()}, db


def test_names_are_there_without_the_libraries(tmp_path):
    import subprocess
    import sys

    script = "import mle, sys; print(*mle.integrations.__all__); assert not {'optuna', 'keras', 'xgboost'} & set(sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "KerasCallback" in said
    with pytest.raises(AttributeError, match="Nothing"):
        mle.integrations.Nothing


def test_xgboost(tmp_path):
    xgboost, numpy = pytest.importorskip("xgboost"), pytest.importorskip("numpy")
    x = numpy.random.default_rng(1).normal(size=(80, 3))
    train, valid = xgboost.DMatrix(x[:60], x[:60, 0]), xgboost.DMatrix(x[60:], x[60:, 0])
    callback = mle.integrations.XGBoostCallback(tmp_path / "x.db", model=True)
    evals, told = [(train, "train"), (valid, "valid")], {}
    words = {"max_depth": 2, "eval_metric": ["rmse", "mae"]}
    model = xgboost.train(words, train, 5, evals=evals, evals_result=told, callbacks=[callback], verbose_eval=False)
    state, metrics, db = of(tmp_path / "x.db")
    assert state == "complete" and sorted(metrics) == ["train/mae", "train/rmse", "valid/mae", "valid/rmse"]
    assert metrics["valid/rmse"] == ([0, 1, 2, 3, 4], told["valid"]["rmse"])
    again = xgboost.Booster(model_file=bytearray(db.artifact(db.artifacts()["id"][0])))
    assert (again.predict(valid) == model.predict(valid)).all()
    assert db.config(db.runs()["id"][0])["objective"]["name"] == "reg:squarederror"

    # Folds.
    with mle.Logger(tmp_path / "cv.db") as log:
        xgboost.cv({"max_depth": 2}, train, 3, nfold=2, callbacks=[mle.integrations.XGBoostCallback(log)], verbose_eval=False)
        log.log({"after": 1})
    state, metrics, _ = of(tmp_path / "cv.db")
    assert state == "complete" and len(metrics["test/rmse"][1]) == 3 and "test/rmse/std" in metrics and "after" in metrics


def test_xgboost_trial_is_pruned(tmp_path):
    xgboost, numpy = pytest.importorskip("xgboost"), pytest.importorskip("numpy")
    x = numpy.random.default_rng(1).normal(size=(80, 3))
    data = xgboost.DMatrix(x, x[:, 0] * 3)
    study = mle.Study("rates", {"rate": [0.5, 0.4, 0.3, 0.2, 0.1, 0.001]}, db=tmp_path / "x.db", strategy="grid")

    def train(trial):
        callback = mle.integrations.XGBoostCallback(tmp_path / "log.db", trial=trial, report="train/rmse")
        words = {"eta": trial["rate"], "max_depth": 2}
        xgboost.train(words, data, 8, evals=[(data, "train")], callbacks=[callback], verbose_eval=False)
        return trial.curve[-1]

    study.optimize(train, stopper=mle.Stopper("median", startup=3, warmup=2))
    trials = study.trials()
    assert trials["state"][:3] == ["complete"] * 3 and trials["state"][-1] == "pruned"
    assert len(trials["curve"][0]) == 8 > len(trials["curve"][-1]) >= 2


def test_lightgbm(tmp_path):
    lightgbm, numpy = pytest.importorskip("lightgbm"), pytest.importorskip("numpy")
    x = numpy.random.default_rng(1).normal(size=(80, 3))
    train = lightgbm.Dataset(x[:60], x[:60, 0])
    valid, told = lightgbm.Dataset(x[60:], x[60:, 0], reference=train), {}
    callbacks = [mle.integrations.lightgbm_callback(tmp_path / "x.db", model=True), lightgbm.record_evaluation(told)]
    words = {"objective": "l2", "verbose": -1, "min_data_in_leaf": 2, "num_leaves": 4}
    model = lightgbm.train(words, train, 5, valid_sets=[valid], valid_names=["valid"], callbacks=callbacks)
    state, metrics, db = of(tmp_path / "x.db")
    assert state == "complete" and metrics == {"valid/l2": ([0, 1, 2, 3, 4], told["valid"]["l2"])}
    assert db.config(db.runs()["id"][0])["num_leaves"] == 4
    again = lightgbm.Booster(model_str=db.artifact(db.artifacts()["id"][0]).decode())
    assert numpy.allclose(again.predict(x), model.predict(x))

    # Folds, and a training that stops early.
    with mle.Logger(tmp_path / "cv.db") as log:
        callbacks = [mle.integrations.lightgbm_callback(log), lightgbm.early_stopping(1, verbose=False)]
        lightgbm.cv({**words, "learning_rate": 0.9}, train, 50, nfold=2, stratified=False, callbacks=callbacks)
    state, metrics, _ = of(tmp_path / "cv.db")
    assert state == "complete" and "valid/l2/std" in metrics and 1 < len(metrics["valid/l2"][0]) < 50


@pytest.fixture
def keras(monkeypatch):
    """Keras with whichever backend is there."""
    import importlib.util

    if "KERAS_BACKEND" not in os.environ:
        found = [name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)]
        if not found:
            pytest.skip("no backend that trains")
        monkeypatch.setenv("KERAS_BACKEND", found[0])
    return pytest.importorskip("keras")


def test_keras(tmp_path, keras):
    numpy = pytest.importorskip("numpy")
    x = numpy.random.default_rng(1).normal(size=(32, 2)).astype("float32")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
    callback = mle.integrations.KerasCallback(tmp_path / "x.db", weights=True)
    told = model.fit(x, x[:, :1], epochs=3, batch_size=8, validation_split=0.25, callbacks=[callback], verbose=0).history
    state, metrics, db = of(tmp_path / "x.db")
    assert state == "complete" and metrics["val_loss"] == ([0, 1, 2], told["val_loss"])
    assert metrics["learning_rate"][1] == pytest.approx([0.05] * 3)
    assert db.config(db.runs()["id"][0])["optimizer"] == "SGD"
    artifacts = db.artifacts()
    assert artifacts["name"] == ["weights.h5"] and artifacts["step"] == [2]
    (tmp_path / "w.weights.h5").write_bytes(db.artifact(artifacts["id"][0]))
    before = model.predict(x, verbose=0)
    model.set_weights([numpy.zeros_like(weight) for weight in model.get_weights()])
    model.load_weights(tmp_path / "w.weights.h5")
    assert numpy.allclose(model.predict(x, verbose=0), before)

    with mle.Logger(tmp_path / "batches.db") as log:
        model.fit(x, x[:, :1], epochs=2, batch_size=8, callbacks=[mle.integrations.KerasCallback(log, every=2)], verbose=0)
    _, metrics, _ = of(tmp_path / "batches.db")
    assert metrics["batch/loss"][0] == [2, 4, 6, 8] and metrics["loss"][0] == [4, 8]


def test_transformers(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x=None, labels=None):
            out = self.layer(x)
            return {"loss": ((out - labels) ** 2).mean(), "logits": out}

    data = [{"x": torch.tensor([i / 8]), "labels": torch.tensor([i / 4])} for i in range(8)]
    words = {"report_to": [], "logging_steps": 2, "num_train_epochs": 3, "per_device_train_batch_size": 4}
    words.update(learning_rate=0.1, disable_tqdm=True, use_cpu=True, save_strategy="no")
    args = transformers.TrainingArguments(str(tmp_path / "out"), **words)
    callback = mle.integrations.TrainerCallback(tmp_path / "x.db")
    trainer = transformers.Trainer(Line(), args, train_dataset=data, eval_dataset=data, callbacks=[callback])
    trainer.train()
    state, metrics, db = of(tmp_path / "x.db")
    told = [(entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    assert state == "complete" and list(zip(*metrics["loss"])) == told and len(told) == 3
    assert db.config(db.runs()["id"][0])["learning_rate"] == 0.1


def test_lightning(tmp_path):
    torch = pytest.importorskip("torch")
    try:
        import lightning.pytorch as pl
    except ImportError:
        pl = pytest.importorskip("pytorch_lightning")

    class Line(pl.LightningModule):
        def __init__(self, rate=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            loss = ((self.layer(batch) - 2 * batch) ** 2).mean()
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch, _):
            self.log("val_loss", ((self.layer(batch) - 2 * batch) ** 2).mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.hparams.rate)

    data = torch.utils.data.DataLoader(torch.arange(8).float().view(8, 1) / 8, batch_size=4)
    logger = mle.integrations.LightningLogger(tmp_path / "x.db", checkpoints=True)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": str(tmp_path)}
    trainer = pl.Trainer(logger=logger, max_epochs=3, log_every_n_steps=1, accelerator="cpu", **quiet)
    trainer.fit(Line(), data, data)
    state, metrics, db = of(tmp_path / "x.db")
    assert state == "complete" and len(metrics["train_loss"][0]) == 6 and len(metrics["val_loss"][0]) == 3
    assert db.config(db.runs()["id"][0]) == {"rate": 0.1}
    assert "best.ckpt" in db.artifacts()["name"]

    class Broken(Line):
        def training_step(self, batch, _):
            raise RuntimeError("no")

    logger = mle.integrations.LightningLogger(tmp_path / "broken.db")
    with pytest.raises(RuntimeError):
        trainer = pl.Trainer(logger=logger, max_epochs=1, accelerator="cpu", **quiet)
        trainer.fit(Broken(), data)
    assert of(tmp_path / "broken.db")[0] == "failed"


def test_wandb(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    log = mle.Logger(tmp_path / "x.db", config={"lr": 0.1})
    with mle.integrations.WandbMirror(log, project="bowls", mode="offline") as both:
        for step in range(3):
            both.log({"loss": 1.0 / (1 + step)}, step)
        assert both.run.config["lr"] == 0.1
    state, metrics, _ = of(tmp_path / "x.db")
    assert state == "complete" and metrics["loss"] == ([0, 1, 2], [1.0, 0.5, 1 / 3])
    (stored,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert stored.read_bytes().count(b"loss") >= 3
    assert wandb.run is None
