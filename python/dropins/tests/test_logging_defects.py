"""mle_logging: the defects that are no more."""

import os
import shutil
import struct
import sys
import types

import numpy as np
import pytest

import mle
from logs import PORTFOLIO, a_logger, configs, figure, fill, folder, h5py, write_peer_log  # noqa: F401
from mle_logging import MLELogger, MetaLog, load_config, load_log, load_meta_log, merge_seed_logs
from mle_logging.merge import merge_hdf5_files, tolerant_mean, tolerant_median


def test_l1_merging_twice_loses_nothing():
    for seed in (1, 2):
        fill(a_logger(seed_id=seed))
    write_peer_log("lab/logs/log_seed_9.hdf5", ["seed_9"])
    for _ in range(3):
        merge_seed_logs("lab/logs/log.hdf5", "lab")
    assert load_log("lab").eval_ids == ["seed_1", "seed_2", "seed_9"]
    shutil.move("lab/logs/log.hdf5", "moved.hdf5")
    assert load_log("moved.hdf5").eval_ids == ["seed_1", "seed_2", "seed_9"]
    merge_hdf5_files("moved.hdf5", ["moved.hdf5"], delete_files=True)
    assert load_log("moved.hdf5").seed_9.stats.loss.tolist() == [0, 1, 2]


def test_l2_columns_named_as_ours_and_the_callers_dicts_stay_theirs():
    logger = MLELogger(
        experiment_dir="lab", time_to_track=["num_updates"], what_to_track=["loss"]
    )
    tick, stats = {"num_updates": 10}, {"loss": 1.0}
    logger.update(tick, stats)
    logger.update({"num_updates": 20}, stats, save=True)
    assert tick == {"num_updates": 10} and stats == {"loss": 1.0}
    assert load_log("lab").time.num_updates.tolist() == [10, 20]


def test_l3_a_missing_value_shifts_nothing():
    logger = MLELogger(experiment_dir="lab")
    logger.update({"step": 1}, {"a": 1.0})
    logger.update({"step": 2}, {"b": 2.0})
    logger.update({}, {"a": 3.0, "b": None}, save=True)
    log = load_log("lab")
    np.testing.assert_array_equal(log.stats.a, [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(log.stats.b, [np.nan, 2.0, np.nan])
    np.testing.assert_array_equal(log.time.step, [1, 2, np.nan])
    with h5py.File("lab/logs/log_no_seed_provided.hdf5") as file:
        np.testing.assert_array_equal(file["no_seed_provided/stats/a"], [1.0, np.nan, 3.0])


def test_l4_numbers_keep_their_digits():
    logger = MLELogger(experiment_dir="lab")
    logger.update({"step": 2**24 + 1}, {"loss": 0.1 + 1e-12, "bad": float("nan"), "far": float("inf")}, save=True)
    log = load_log("lab")
    assert log.time.step[0] == 2**24 + 1 and log.stats.loss[0] == 0.1 + 1e-12
    assert np.isnan(log.stats.bad[0]) and np.isinf(log.stats.far[0])


def test_l5_texts_and_configs_of_any_length_and_script():
    config = {"text": "größer → 大", "long": "x" * 9000, "values": [1, 2]}
    MLELogger(experiment_dir="lab", config_dict=config).save()
    assert load_log("lab").meta.config_dict == config


def test_l6_loggers_share_no_lists():
    names = ["loss"]
    one = MLELogger(experiment_dir="one", what_to_track=names)
    one.extend_tracking(["more"])
    assert names == ["loss"] and MLELogger(experiment_dir="two").stats_log.stats_to_track == []
    one.extend_tracking("accuracy")
    assert one.stats_log.stats_to_track == ["loss", "more", "accuracy"]


def test_l7_counters_and_elapsed_time_go_on_after_reloading():
    options = {**PORTFOLIO, "save_every_k_ckpt": 1}
    fill(a_logger(**options), rows=10, model=np.ones(1))
    logger = a_logger(**options, reload=True)
    logger.update({"num_steps": 110}, {"test_loss": 1.0}, np.ones(1), save=True)
    assert logger.model_log.every_k_ckpt_list[-1].endswith("_k_11.pkl")
    elapsed = load_log("lab/").time.time_elapsed
    assert (np.diff(elapsed) >= 0).all() and len(elapsed) == 11


def test_l8_a_second_run_is_not_mixed_with_the_first():
    logger = MLELogger(experiment_dir="lab")
    logger.update({}, {"old": 1.0, "loss": 1.0}, save=True)
    logger.close()
    logger = MLELogger(experiment_dir="lab")
    logger.update({}, {"loss": 2.0}, save=True)
    assert list(load_log("lab").stats) == ["loss"]
    with h5py.File("lab/logs/log_no_seed_provided.hdf5") as file:
        assert list(file["no_seed_provided/stats"]) == ["loss"]
    assert len(mle.open("lab/mle.db").runs()) == 2


def read_events(path):
    """Return the records of an event file, with their checksums checked by a table of another making."""
    import zlib  # noqa: F401

    data, at, records = open(path, "rb").read(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        records.append(data[at + 12 : at + 12 + length])
        for begin, size in ((at, 8), (at + 12, length)):
            assert struct.unpack_from("<I", data, begin + size)[0] == masked_crc32c(data[begin : begin + size])
        at += 16 + length
    return records


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_l9_and_l28_tensorboard_has_the_callers_steps_and_needs_no_torch(figure):
    assert masked_crc32c(b"123456789") == ((((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
    logger = a_logger(use_tboard=True, model_type="jax")
    logger.update({"num_steps": 300, "num_epochs": 1}, {"train_loss": 0.5, "test_loss": np.ones(3)}, {"layer": {"w": np.ones(4)}}, figure)
    (name,) = os.listdir("lab/tboards/tboard_no_seed_provided")
    records = read_events(f"lab/tboards/tboard_no_seed_provided/{name}")
    assert b"brain.Event:2" in records[0]
    (loss,) = [record for record in records if b"performance/train_loss" in record]
    assert b"\x10\xac\x02" in loss and struct.pack("<f", 0.5) in loss
    assert any(b"weights/layer/w" in record for record in records) and any(b"PNG" in record for record in records)


def test_l10_seeds_of_different_lengths_and_columns_are_aggregated():
    fill(a_logger(seed_id=1), rows=2)
    fill(a_logger(seed_id=2), rows=4, offset=1.0)
    logger = a_logger(seed_id=3)
    logger.update({"num_steps": 10}, {"other": 5.0}, save=True)
    over = load_log("lab", aggregate_seeds=True).eval
    assert over.stats.train_loss.mean.tolist() == [1.5, 1.0, 1.0 / 3 + 1, 1.25]
    assert over.stats.train_loss.p90[3] == 1.25 and over.stats.train_loss.std[2] == 0
    assert over.stats.other.mean.tolist() == [5.0] and over.time.num_updates.tolist() == [1, 2, 3, 4]
    mean, std = tolerant_mean([[1.0, 2.0], [3.0]])
    assert mean.tolist() == [2.0, 2.0] and std.tolist() == [1.0, 0.0]
    assert tolerant_median([[1.0, 2.0], [3.0]])[0].tolist() == [2.0, 2.0]


def test_l11_and_l16_wandb_needs_no_name_and_says_when_it_fails(monkeypatch):
    told = []

    def fails(**_):
        raise RuntimeError("no network")

    module = types.SimpleNamespace(init=fails, log=lambda *a, **k: told.append(a), Histogram=list, Image=id)
    monkeypatch.setitem(sys.modules, "wandb", module)
    saved = dict(os.environ)
    wandb = {"key": "k", "entity": "e", "project": "p", "group": None}
    with pytest.warns(RuntimeWarning, match="no network"):
        logger = a_logger(use_wandb=True, wandb_config=wandb)
    logger.update({"num_steps": 1}, {"train_loss": 1.0})
    assert told == [] and wandb == {"key": "k", "entity": "e", "project": "p", "group": None}
    module.init = lambda **_: None
    logger = a_logger(use_wandb=True, wandb_config=wandb)
    logger.update({"num_steps": 7}, {"train_loss": 1.0})
    assert told[0][0]["time/num_steps"] == 7 and told[0][0]["stats/train_loss"] == 1.0
    assert os.environ["WANDB_JOB_TYPE"] == "no_seed_provided"
    for name in set(os.environ) - set(saved):
        del os.environ[name]
    with pytest.raises(AssertionError, match="entity"):
        a_logger(use_wandb=True, wandb_config={"key": "k"})


def test_l12_a_single_seed_is_aggregated():
    fill(a_logger())
    assert load_log("lab", aggregate_seeds=True).eval.stats.test_loss.mean.tolist() == [2.0] * 3
    assert load_meta_log("lab/logs/log_no_seed_provided.hdf5").eval.stats.test_loss.std.tolist() == [0.0] * 3


def test_l13_any_seed_can_be_gone_on_with():
    options = {**PORTFOLIO, "save_every_k_ckpt": 50, "save_top_k_ckpt": 1}
    for seed in (1, 2):
        fill(a_logger(seed_id=seed, **options), model=np.ones(1), offset=seed)
    logger = a_logger(seed_id=2, reload=True, **options)
    assert logger.stats_log.stats_tracked["test_loss"] == [4.0] * 3
    logger.update({"num_steps": 1}, {"test_loss": 0.0}, np.ones(1), save=True)
    assert logger.model_log.top_k_ckpt_list == ["lab/models/top_k/top_k_seed_2_top_0.pkl"]
    with pytest.raises(FileNotFoundError, match="seed_3.*seed_1, seed_2"):
        a_logger(seed_id=3, reload=True)


def test_l14_seeds_may_be_called_anything():
    for seed in ("alpha", "beta", "seed_7"):
        fill(a_logger(seed_id=seed))
    log = load_log("lab", aggregate_seeds=True)
    assert log.eval.meta.seeds == ["alpha", "beta", 7] and isinstance(log, MetaLog)


def test_l17_images_texts_and_ragged_arrays_are_statistics():
    for seed in (1, 2):
        logger = MLELogger(experiment_dir="lab", seed_id=seed)
        for row in range(2):
            logger.update({}, {"image": np.full((2, 3), seed), "note": f"n{row}", "ragged": np.ones(row + 1)}, save=True)
    log = load_log("lab").seed_1
    assert log.stats.image.shape == (2, 2, 3) and log.stats.note.tolist() == ["n0", "n1"]
    assert [len(value) for value in log.stats.ragged] == [1, 2]
    assert load_log("lab", aggregate_seeds=True).eval.stats.image.mean.tolist() == np.full((2, 2, 3), 1.5).tolist()
    with pytest.raises(ValueError, match="'bad'"):
        logger.update({}, {"bad": object()})


def test_l18_a_log_of_figures_alone_is_loaded(figure):
    a_logger().save_plot(figure)
    assert load_log("lab").meta.fig_storage_paths.endswith("fig_1_no_seed_provided.png")


def test_l20_drawing_changes_nothing(figure):
    for seed in (1, 2):
        fill(a_logger(seed_id=seed))
    log, wanted = load_log("lab"), ["seed_2", "seed_1"]
    before = log.seed_1.toDict()
    log.plot("train_loss", "num_steps", run_ids=wanted)
    assert wanted == ["seed_2", "seed_1"] and log["seed_1"].toDict().keys() == before.keys()
    assert log.seed_1.stats.train_loss.tolist() == before["stats"]["train_loss"].tolist()


def test_l22_and_l25_other_files_and_other_names_do_not_disturb():
    configs(0.1)
    fill(a_logger(config_fname="examples/config_1.json"))
    os.makedirs("lab/my_config_1/logs")
    for place in ("lab/config_1/logs/notes.txt", "lab/my_config_1/logs/x.txt"):
        open(place, "w").close()
    merge_seed_logs("lab/config_1/logs/log.hdf5", "lab/config_1")
    logger = a_logger(config_fname="examples/config_1.json", reload=True)
    assert logger.experiment_dir == "lab/config_1" and len(logger.stats_log.stats_tracked["test_loss"]) == 3


def test_l24_seeds_of_numpy_and_yml_configs(folder):
    (folder / "c.yml").write_text("a: 1\n")
    logger = MLELogger(experiment_dir="lab", config_fname="c.yml", seed_id=np.int64(4))
    assert (logger.seed_id, logger.config_dict) == ("seed_4", {"a": 1})
    with pytest.raises(AssertionError, match="model_type 'caffe'"):
        a_logger(model_type="caffe")
    with pytest.raises(AssertionError, match="top_k_metric_name"):
        a_logger(save_top_k_ckpt=1, ckpt_time_to_track="num_steps")


def test_l26_the_process_stays_as_it_was(folder):
    yaml = pytest.importorskip("yaml")
    before = dict(os.environ)
    (folder / "c.yaml").write_text("a: 1e-3\n")
    load_config("c.yaml")
    fill(a_logger())
    assert yaml.safe_load("a: 1e-3") == {"a": "1e-3"} and dict(os.environ) == before


def test_l27_nan_never_keeps_a_better_checkpoint_out():
    logger = a_logger(**PORTFOLIO)
    for loss in (float("nan"), 3.0, 2.0, 1.0, float("nan")):
        logger.update({"num_steps": 1}, {"test_loss": loss}, np.ones(1))
    assert sorted(logger.model_log.top_k_performance) == [1.0, 2.0]
