"""mle_logging: what its scripts rely on, and logs of the original package."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import mle
import mle_logging
from logs import PORTFOLIO, a_logger, configs, figure, fill, folder, h5py, torch, write_peer_log  # noqa: F401
from mle_logging import MLELogger, load_config, load_log, load_meta_log, load_model, merge_config_logs, merge_seed_logs
from mle_logging.merge import aggregate_over_seeds


def test_a_single_run_is_loaded_with_what_it_says_of_itself(figure, torch):
    logger = a_logger(model_type="torch")
    logger.update({"num_steps": 10, "num_epochs": 1}, {"train_loss": 0.1234, "test_loss": 0.1235}, torch.nn.Linear(2, 2), plot_fig=figure, extra_obj={"a": 1}, save=True)
    log = load_log("lab/")
    assert set(log.meta.keys()) == {
        "config_fname", "config_dict", "eval_id", "experiment_dir", "extra_storage_paths", "fig_storage_paths", "log_paths",
        "model_ckpt", "model_type",
    }  # fmt: skip
    assert log.stats.train_loss == 0.1234 and log.time.num_steps == 10
    assert log.meta.fig_storage_paths == "lab/figures/fig_1_no_seed_provided.png"
    assert log.meta.extra_storage_paths == "lab/extra/extra_1_no_seed_provided.pkl"
    assert log.meta.model_ckpt == "lab/models/final/final_no_seed_provided.pt"
    assert log.meta.experiment_dir == "lab/" and log.meta.model_type == "torch" and log.meta.config_dict == {}
    assert all(os.path.exists(log.meta[name]) for name in ("fig_storage_paths", "extra_storage_paths", "model_ckpt", "log_paths"))
    assert pickle.load(open(log.meta.extra_storage_paths, "rb")) == {"a": 1}


def test_seeds_are_merged_loaded_and_aggregated():
    configs(0.1)
    for seed in (1, 2):
        fill(a_logger(config_fname="examples/config_1.json", seed_id=f"seed_{seed}"), offset=float(seed))
    assert os.path.isfile("lab/config_1/config_1.json")
    merge_seed_logs("lab/config_1/logs/config_1.hdf5", "lab/config_1")
    assert os.listdir("lab/config_1/logs") == ["config_1.hdf5"]
    log = load_log("lab/config_1")
    assert log.eval_ids == ["seed_1", "seed_2"] and log.seed_1.stats.train_loss[0] == 2.0
    assert log.seed_1.meta.config_dict == {"lr": 0.1} and log.seed_1.meta.eval_id == "config_1"
    over = load_log("lab/config_1", aggregate_seeds=True).eval.stats.train_loss
    assert over.mean[0] == 2.5 and over.std[0] == 0.5
    assert set(over.keys()) == {"mean", "std", "p50", "p10", "p25", "p75", "p90"}


@pytest.mark.parametrize("mirror", ["1", "0"])
def test_configs_are_merged_into_one_log(monkeypatch, mirror):
    monkeypatch.setenv("MLE_MIRROR", mirror)
    configs(0.1, 0.2)
    for config in (1, 2):
        for seed in (1, 2):
            fill(a_logger(config_fname=f"examples/config_{config}.json", seed_id=seed), offset=config + 10.0 * seed)
        merge_seed_logs(f"lab/config_{config}/logs/config_{config}.hdf5", f"lab/config_{config}")
    merge_config_logs(experiment_dir="lab", all_run_ids=["config_1", "config_2"])
    assert os.path.isfile("lab/meta_log.hdf5") == (mirror == "1")
    log = load_log("lab/meta_log.hdf5", aggregate_seeds=True)
    assert log.eval_ids == ["config_1", "config_2"] and len(log) == 2
    assert log.config_2.stats.train_loss.mean[0] == 1.0 + 2 + 15
    assert log.config_1.meta.seeds == [1, 2] and log["config_1"].meta.model_type == "numpy"
    each = load_log("lab/meta_log.hdf5", aggregate_seeds=False)
    assert list(each.config_1.keys()) == ["seed_1", "seed_2"]
    assert load_meta_log("lab/meta_log.hdf5").stats_vars == ["test_loss", "train_loss"]
    assert log.filter(["config_2"]).eval_ids == ["config_2"]


def test_files_are_where_scripts_look(figure, torch):
    logger = a_logger(use_tboard=True, config_fname=None, model_type="torch")
    model = torch.nn.Linear(2, 2)
    assert not os.path.exists("lab/logs")
    logger.save_init_model(model)
    logger.update({"num_steps": 1, "num_epochs": 1}, {"train_loss": 0.1, "test_loss": 0.2})
    logger.save_plot(figure)
    logger.save_extra({"a": 1})
    logger.save_plot(figure, "deep/named.png")
    logger.save_model(model)
    logger.save()
    for place in ("logs/", "tboards/", "logs/log_no_seed_provided.hdf5", "figures/fig_1_no_seed_provided.png", "figures/deep/named.png",
                  "extra/extra_1_no_seed_provided.pkl", "models/init/init_no_seed_provided.pt",
                  "models/final/final_no_seed_provided.pt", "config_dict.yaml"):  # fmt: skip
        assert os.path.exists("lab/" + place), place
    assert (logger.figure_log.fig_save_counter, logger.extra_log.extra_save_counter) == (1, 1)


@pytest.mark.parametrize("mirror", ["1", "0"])
@pytest.mark.parametrize("kind", ["jax", "sklearn", "numpy"])
def test_models_come_back(monkeypatch, kind, mirror):
    monkeypatch.setenv("MLE_MIRROR", mirror)
    model = np.arange(6.0).reshape(2, 3) if kind == "numpy" else {"layer": {"w": np.ones(3)}}
    logger = a_logger(model_type=kind)
    logger.update({"num_steps": 1, "num_epochs": 1}, {"train_loss": 0.1, "test_loss": 0.2}, model, save=True)
    path = load_log("lab/").meta.model_ckpt
    assert path == "lab/models/final/final_no_seed_provided.pkl" and os.path.isfile(path) == (mirror == "1")
    loaded = load_model(path, kind)
    if kind == "numpy":
        assert (loaded == model).all()
    else:
        assert (loaded["layer"]["w"] == 1).all()


@pytest.mark.parametrize("mirror", ["1", "0"])
def test_models_of_torch_are_state_dicts(monkeypatch, torch, mirror):
    monkeypatch.setenv("MLE_MIRROR", mirror)
    logger = a_logger(model_type="torch")
    logger.update({}, {"train_loss": 1}, torch.nn.Linear(2, 3), save=True)
    path = load_log("lab/").meta.model_ckpt
    other = torch.nn.Linear(2, 3)
    assert load_model(path, "torch", other) is other and "weight" in load_model(path, "torch")


def test_models_of_sklearn_flax_and_tensorflow_come_back():
    linear_model = pytest.importorskip("sklearn.linear_model")
    model = linear_model.LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    logger = a_logger(model_type="sklearn")
    logger.update({}, {"train_loss": 1}, model, save=True)
    assert load_model(load_log("lab/").meta.model_ckpt, "sklearn").predict([[3.0]]) == [1]


def test_several_files_of_one_checkpoint_are_all_kept(monkeypatch):
    class Keras:
        def save_weights(self, path):
            for part in (".index", ".data-00000-of-00001"):
                with open(path + part, "w") as file:
                    file.write("w" + part)
            with open(os.path.join(os.path.dirname(path), "checkpoint"), "w") as file:
                file.write("latest")

        def load_weights(self, path):
            with open(path + ".index") as file:
                self.loaded = file.read()

    logger = a_logger(model_type="tensorflow")
    logger.update({}, {"train_loss": 1}, Keras(), save=True)
    path = load_log("lab/").meta.model_ckpt
    assert os.path.isfile("lab/models/final/checkpoint") and os.path.isfile(path + ".data-00000-of-00001")
    shutil.rmtree("lab/models")
    model = Keras()
    assert load_model(path, "tensorflow", model) is None and model.loaded == "w.index"


@pytest.mark.parametrize("mirror", ["1", "0"])
def test_a_run_goes_on_after_reloading(monkeypatch, figure, mirror):
    monkeypatch.setenv("MLE_MIRROR", mirror)
    logger = a_logger(**PORTFOLIO)
    for step, loss in ((10, 0.1235), (20, 0.11), (30, 0.09)):
        logger.update({"num_steps": step, "num_epochs": step // 10}, {"train_loss": 0.5, "test_loss": loss}, np.full(2, step), figure, {"s": step}, save=True)
    logger = a_logger(**PORTFOLIO, reload=True)
    logger.update({"num_steps": 40, "num_epochs": 4}, {"train_loss": 0.5, "test_loss": 0.1}, np.full(2, 40), figure, {"s": 40}, save=True)
    models = logger.model_log
    assert models.top_k_ckpt_list == [f"lab/models/top_k/top_k_no_seed_provided_top_{slot}.pkl" for slot in (0, 1)]
    assert models.top_k_performance == [0.09, 0.1] and models.top_k_storage_time == [30, 40]
    assert models.every_k_storage_time == [20, 40]
    assert models.every_k_ckpt_list[0] == "lab/models/every_k/every_k_no_seed_provided_k_2.pkl"
    assert logger.figure_log.fig_storage_paths[-1] == "lab/figures/fig_4_no_seed_provided.png"
    assert len(logger.extra_log.extra_storage_paths) == 4
    assert logger.stats_log.stats_tracked["test_loss"] == [0.1235, 0.11, 0.09, 0.1]
    assert logger.stats_log.clock_tracked["num_steps"] == [10, 20, 30, 40]
    log = load_log("lab/")
    assert log.stats.test_loss.tolist() == [0.1235, 0.11, 0.09, 0.1] and log.time.num_updates.tolist() == [1, 2, 3, 4]
    assert load_model(log.meta.top_k_ckpt_list[1], "numpy").tolist() == [40, 40]
    with mle.open("lab/mle.db") as db:
        assert len(db.runs()) == 1


def test_printing_does_not_end_a_training(capsys, figure):
    logger = a_logger(verbose=True, use_tboard=True, **PORTFOLIO)
    for _ in range(2):
        logger.update({"num_steps": 1, "num_epochs": 1}, {"train_loss": 0.123456, "test_loss": np.array([1.0, 2.0])[0]}, np.ones(2), figure, {"a": 1}, save=True)
    logger.update({"num_steps": 1}, {"note": "a text"})
    out = capsys.readouterr().out
    assert "0.123" in out and "top_k_no_seed_provided_top_1" in out and "---" in out
    a_logger(verbose=True, reload=True)
    assert "goes on with" in capsys.readouterr().out


def test_configs_are_read(folder):
    (folder / "eval_0.yaml").write_text("lrate: 1e-3\nnet:\n  layers: [1, 2]\n")
    config = load_config("eval_0.yaml", True)
    assert config.lrate == 1e-3 and config.net.layers == [1, 2]
    (folder / "c.json").write_text('{"a": 1, // one\n # two\n "b": "http://x#y", /* three */ "c": [1, 2,],}')
    assert load_config("c.json") == {"a": 1, "b": "http://x#y", "c": [1, 2]}
    with pytest.raises(ValueError, match="broken.json:2"):
        (folder / "broken.json").write_text('{"a": 1,\n "b" 2}')
        load_config("broken.json")
    with pytest.raises(ValueError, match="end in"):
        load_config("c.toml")


def test_curves_are_drawn_from_logs_of_the_original_package(figure):
    write_peer_log("old/logs/seed_aggregated.hdf5", ["seed_1", "seed_2"], rows=20)
    log = load_log("old")
    fig, ax = log.plot("loss", "num_updates")
    assert len(ax.lines) == 2 and ax.get_legend() is not None
    over = load_log("old", aggregate_seeds=True)
    fig, ax = over.plot("loss", "num_updates", smooth_window=3, plot_std_bar=True, plot_title="T", xy_labels=["x", "y"])
    assert ax.get_title() == "T" and ax.get_xlabel() == "x"
    # The trailing mean of 0.5, 1.5, 2.5, …
    assert ax.lines[0].get_ydata()[:4].tolist() == pytest.approx([0.5, 1.0, 1.5, 2.5])
    assert over.plot("loss", fname="curve.png") is None and os.path.getsize("curve.png") > 0
    mle_logging.utils.visualize_1D_lcurves(over.meta_log, target_to_plot=["loss"], ax=ax)


def test_logs_of_the_original_package_are_read_gone_on_with_and_merged(folder):
    write_peer_log("old/logs/log_no_seed_provided.hdf5", ["no_seed_provided"])
    log = load_log("old")
    assert log.meta.config_dict == {"lr": 0.1, "layers": [1, 2]} and log.time.time[0] == "21-06-01/12:00"
    logger = MLELogger(experiment_dir="old", reload=True)
    logger.update({"num_steps": 4}, {"loss": 3.0}, save=True)
    assert load_log("old").stats.loss.tolist() == [0, 1, 2, 3]
    assert mle.open("old/mle.db").runs()["state"] == ["running"]
    for run in ("run_1", "run_2"):
        write_peer_log(f"many/{run}/logs/log.hdf5", ["seed_1", "seed_2"], fewer=("seed_2",))
    merge_config_logs("many", ["run_1", "run_2"])
    log = load_meta_log("many/meta_log.hdf5")
    assert log.run_1.stats.loss.mean.tolist() == [0.5, 1.5, 2.0]
    write_peer_log("meta_log.hdf5", ["seed_1"], run="a")
    assert load_meta_log("meta_log.hdf5", aggregate_seeds=False).a.seed_1.stats.loss.tolist() == [0, 1, 2]


def test_the_original_layout_is_what_is_mirrored():
    fill(a_logger(seed_id=3, config_dict={"lr": 0.1, "name": "größe"}))
    with h5py.File("lab/logs/log_seed_3.hdf5") as file:
        assert set(file["seed_3"]) == {"meta", "stats", "time"}
        assert file["seed_3/stats/train_loss"][:].tolist() == [1.0, 0.5, 1.0 / 3]
        assert file["seed_3/time/time"][0].decode().count("/") == 1
        assert eval(file["seed_3/meta/config_dict"][0].decode()) == {"lr": 0.1, "name": "größe"}


def test_everything_is_in_one_file_that_can_be_named(monkeypatch, folder):
    monkeypatch.setenv("MLE_DB", str(folder / "all.db"))
    fill(a_logger(experiment_dir="one", config_dict={"lr": 1}))
    fill(a_logger(experiment_dir="two", config_dict={"lr": 2}), offset=1.0)
    assert not os.path.exists("one/mle.db")
    with mle.open("all.db") as db:
        assert [run["params"] for run in db.runs()] == [{"lr": 1}, {"lr": 2}]
        assert db.series(2, "train_loss")[1].tolist() == [2.0, 1.5, 1.0 / 3 + 1]
        assert db.series(1, "num_steps")[1].tolist() == [10, 20, 30]
    assert load_log("two").stats.train_loss[0] == 2.0


def test_without_mirrors_there_is_the_file_alone(monkeypatch, figure):
    monkeypatch.setenv("MLE_MIRROR", "0")
    logger = fill(a_logger(), model=np.ones(2))
    logger.save_plot(figure)
    logger.save_extra([1])
    logger.close()
    assert [name for name in os.listdir("lab") if not name.startswith("mle.db")] == []
    names = mle.open("lab/mle.db").artifacts()["name"]
    assert {"figures/fig_1_no_seed_provided.png", "extra/extra_1_no_seed_provided.pkl"} <= set(names)


def test_what_was_not_saved_survives_a_kill(folder):
    script = (
        "import os\nfrom mle_logging import MLELogger\nlog = MLELogger(experiment_dir='lab')\n"
        "for i in range(100):\n    log.update({'step': i}, {'loss': float(i)})\n"
        "log._native().flush()\nos.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    assert load_log("lab").stats.loss.tolist() == [float(i) for i in range(100)]


def test_importing_is_light():
    script = "import sys, mle_logging, mle_hyperopt\nheavy = {'matplotlib', 'h5py', 'pandas', 'torch', 'jax', 'tensorflow', 'rich', 'yaml', 'nevergrad', 'sklearn'}\nprint(sorted(heavy & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"


def test_overwriting_and_removed_folders():
    fill(a_logger())
    with pytest.warns(UserWarning, match="overwritten"):
        fill(a_logger(overwrite=True), rows=1)
    assert len(load_log("lab").stats.train_loss) == 1
    kept = a_logger(seed_id=5)
    fill(kept)
    shutil.rmtree("lab")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fill(a_logger(), rows=2)
        kept.update({"num_steps": 1}, {"train_loss": 7.0}, save=True)
    assert len(load_log("lab").no_seed_provided.stats.train_loss) == 2


def test_a_context_manager_ends_the_run():
    with a_logger() as logger:
        logger.update({"num_steps": 1}, {"train_loss": 1.0})
    with pytest.raises(ZeroDivisionError), a_logger(seed_id=1) as logger:
        logger.update({"num_steps": 1}, {"train_loss": 1.0})
        1 / 0
    assert mle.open("lab/mle.db").runs()["state"] == ["complete", "failed"]
    assert load_log("lab").seed_1.stats.train_loss.tolist() == [1.0]


def test_ready_to_log():
    logger = a_logger(log_every_j_steps=5)
    assert [at for at in range(11) if logger.ready_to_log(at)] == [0, 4, 9]
    with pytest.raises(AssertionError, match="log_every_j_steps"):
        a_logger().ready_to_log(0)


def test_aggregation_of_several_runs():
    log = {"meta": {"model_type": "x"}, "time": {"t": np.arange(2.0)}, "stats": {"a": np.arange(2.0)}}
    over = aggregate_over_seeds({"r": {"seed_1": log, "seed_2": log}}, batch_case=True)
    assert over.r.stats.a.mean.tolist() == [0.0, 1.0] and over.r.meta.seeds == [1, 2]


USES_WANDB = """
from mle_logging import MLELogger
import wandb
config = {"key": "k" * 40, "entity": "us", "project": "bowls", "group": "all", "name": "seed0"}
log = MLELogger(experiment_dir="lab", what_to_track=["loss"], config_dict={"lr": 0.1}, seed_id=3, use_wandb=True, wandb_config=config)
assert log.wandb_log.correct_setup
for i in range(4):
    log.update({"num_steps": i}, {"loss": 1 / (1 + i)}, save=True)
run = wandb.run
assert run.config["lr"] == 0.1 and run.group == "all" and run.job_type == "pholder_config" and run.name == "seed_3", run.name
assert set(run.tags) == {"seed_3", "pholder_config"}, run.tags
log.close()
wandb.finish()
"""


def test_w_and_b_itself_is_told_offline(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "train.py").write_text(USES_WANDB)
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (stored,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert stored.read_bytes().count(b"stats/loss") >= 4
    assert load_log("lab").seed_3.stats.loss.tolist() == [1.0, 0.5, 1 / 3, 0.25]


def test_percentiles_are_numpys():
    import warnings

    import numpy as np
    from mle_logging.merge.aggregate import tolerant_median

    generator = np.random.default_rng(5)
    for seeds in (1, 2, 3, 4, 7, 11):
        for shape in ((6,), (5, 3)):
            whole = list(generator.normal(size=(seeds, *shape)))
            holes = [np.where(generator.random(shape) < 0.3, np.nan, one) for one in whole]
            endless = [np.where(generator.random(shape) < 0.2, np.inf, one) for one in whole]
            for arrays, function in ((whole, np.percentile), (holes, np.nanpercentile), (endless, np.percentile)):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)
                    wanted = function(np.stack(arrays), (50, 10, 25, 75, 90), axis=0)
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    found = tolerant_median(arrays)
                for one, other in zip(found, wanted):
                    kept = np.isfinite(other)
                    np.testing.assert_allclose(one[kept], other[kept], rtol=1e-14)
                    assert not np.isfinite(one[~kept & (np.isposinf(other) | np.isneginf(other))]).any()


def test_minutes_of_updates(monkeypatch):
    import time

    import numpy as np
    from mle_logging import _store

    begin = 1_790_000_000.0
    seconds = np.array([0.0, 1.0, 59.0, 61.0, np.nan, 125.0, 5.0])
    found = _store._times([[1, begin]], seconds)
    wanted = ["" if np.isnan(one) else time.strftime("%y-%m-%d/%H:%M", time.localtime((begin + one) // 60 * 60)) for one in seconds]
    assert found.tolist() == wanted


def test_hdf5_columns_come_back_as_h5py_reads_them(tmp_path):
    import numpy as np

    h5py = pytest.importorskip("h5py")
    from mle_logging import _hdf5

    log = {
        "meta": {"config_dict": {"é": 1.5}, "eval_id": "näme", "log_paths": ["a", "bb"], "empty": ""},
        "stats": {"a/b": np.arange(5.0), "image": np.ones((2, 3, 4)), "whole": np.arange(3), "flag": np.array([True, False]), "none": np.array([])},
        "time": {"time": np.array(["26-11-26/16:00"] * 2)},
    }
    for append in (False, True):
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            _hdf5.write_log(file, "run é/seed_1", log, append)
        found = _hdf5.read(tmp_path / "a.hdf5")["run é"]["seed_1"]
        with h5py.File(tmp_path / "a.hdf5") as file:
            names = []
            file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
            assert len(names) == 9
            for name in names:
                at = {"run é": {"seed_1": found}}
                for part in name.split("/"):
                    at = at[part]
                other = file[name][()]
                assert at.dtype == other.dtype and at.shape == other.shape and at.tobytes() == other.tobytes(), name


def test_columns_of_statistics_and_clocks_are_added():
    from mle_logging.save import StatsLog

    log = StatsLog("", "seed_1", ["steps"], ["loss"])
    log.update({"steps": 1}, {"loss": 1.0})
    log.extend_tracking(["accuracy", "grad"], "epochs")
    log.extend_tracking("one")
    assert log.stats_to_track == ["loss", "accuracy", "grad", "one"] and log.clock_to_track[-2:] == ["steps", "epochs"]
    log.update({"steps": 2, "epochs": 1}, {"loss": 0.5, "one": 3.0})
    assert log.stats_tracked["one"] == [None, 3.0] and log.clock_tracked["epochs"] == [None, 1]


def test_a_name_that_was_not_declared_is_logged_and_said_once():
    logger = a_logger()
    fill(logger, rows=1)
    with pytest.warns(UserWarning, match="train_los: not declared, logged as a new column; what_to_track has train_loss"):
        logger.update({"num_steps": 1, "num_epochs": 1}, {"train_los": 1.0, "test_loss": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.update({"num_steps": 2, "num_epochs": 1}, {"train_los": 2.0, "test_loss": 1.0}, save=True)
        free = MLELogger(experiment_dir="free")
        free.update({"any": 1}, {"thing": 1.0}, save=True)
    assert load_log("lab").stats.train_los.tolist()[-2:] == [1.0, 2.0]


def test_a_folder_is_no_meta_log():
    fill(a_logger())
    with pytest.raises(IsADirectoryError, match=r"load_log\('lab'\) reads the folder"):
        load_meta_log("lab")


def test_without_h5py_a_warning_says_so_once(tmp_path):
    script = """
import sys, warnings
sys.modules["h5py"] = None
from mle_logging import MLELogger, load_log
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for seed in (1, 2):
        log = MLELogger(time_to_track=["step"], what_to_track=["loss"], experiment_dir="lab", seed_id=seed)
        log.update({"step": 1}, {"loss": 0.5}, save=True)
        log.save()
assert [str(one.message) for one in told if "pip install h5py" in str(one.message)] == [str(told[0].message)], told
"""
    more = {"MLE_MIRROR": "0"}
    words = [sys.executable, "-c", script]
    there = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    silent = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **more})
    assert "IndexError" in silent.stderr, "nothing is told where nothing is wanted"
    assert not (tmp_path / "lab" / "logs").exists() or not list((tmp_path / "lab" / "logs").glob("*.hdf5"))
