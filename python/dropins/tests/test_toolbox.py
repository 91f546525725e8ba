"""mle_toolbox: experiments from files, training scripts, results, statistics, figures."""

import json
import os
import pickle
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

import mle

pytest.importorskip("mle_hyperopt.strategies")

TRAIN = """
from mle_toolbox import experiment

@experiment("base.yaml")
def main(mle, extra=1):
    import math
    train = mle.train_config
    if train.fail and mle.seed_id == 4:
        raise SystemExit("no good")
    for update in range(20):
        if mle.ready_to_log(update):
            loss = (train.lr - 0.3) ** 2 + train.batch / 100 + 0.01 * mle.seed_id + 1 / (1 + update)
            mle.update_log({"num_updates": update}, {"train_loss": loss, "test_loss": 2 * loss}, save=True)
    assert len(mle.log.stats_log.stats_tracked["test_loss"]) == 5
    if train.plot:
        import matplotlib
        matplotlib.use("agg")
        import matplotlib.pyplot as plt
        mle.log.save_plot(plt.figure())

main()
"""
BASE = """
train_config: {lr: 0.1, batch: 3, fail: false, plot: true}
model_config: {width: 4}
log_config:
  time_to_track: [num_updates]
  what_to_track: [train_loss, test_loss]
  log_every_j_steps: 5
"""
META = {"project_name": "p", "base_train_fname": "train.py", "base_train_config": "base.yaml", "experiment_dir": "out"}
GRID = {
    "search_logging": {"max_objective": False, "eval_metrics": ["test_loss"], "problem_type": "final"},
    "search_resources": {"num_search_batches": 2, "num_evals_per_batch": 2, "num_seeds_per_eval": 2, "random_seeds": [1, 4]},
    "search_config": {
        "search_type": "Grid",
        "search_schedule": "sync",
        "search_params": {"real": {"lr": {"begin": 0.1, "end": 0.3, "bins": 2}}, "categorical": {"batch": [8, 2]}},
    },
}


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name not in ("MLE_PROGRAMS",):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def write(lab, **blocks):
    (lab / "experiment.yaml").write_text(json.dumps(blocks))
    return "experiment.yaml"


def toolbox(*words):
    done = subprocess.run(
        [sys.executable, "-m", "mle_toolbox.cli", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout


# Launching.


def test_a_single_config(lab):
    from mle_toolbox.launch.single_config import run_single_config

    assert run_single_config("local", META, {}) == 0
    for path in ("base/logs/log_seed_0.hdf5", "base/figures/fig_1_seed_0.png", "base/base.yaml"):
        assert (lab / "out" / path).exists()


def test_multiple_configs(lab):
    from mle_toolbox.launch.multi_config import run_multiple_configs

    (lab / "other.yaml").write_text(BASE)
    told = {"config_fnames": ["base.yaml", "other.yaml"], "num_seeds": 2, "random_seeds": [1, 4]}
    run_multiple_configs("local", META, {}, told)
    for name in ("base", "other"):
        assert (lab / "out" / name / "logs" / "log.hdf5").exists() and (lab / "out" / name / f"{name}.yaml").exists()
        assert len(list((lab / "out" / name / "figures").glob("*.png"))) == 2
    assert (lab / "out" / "meta_log.hdf5").exists()


def test_a_processing_job(lab):
    from mle_toolbox.launch.processing_job import run_processing_job

    (lab / "post.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('-exp_dir')\np.add_argument('-figures_dir')\n"
        "a = p.parse_args()\nopen(a.exp_dir + '/' + a.figures_dir + '.png', 'w')\n"
    )
    os.makedirs("out")
    told = {"processing_fname": "post.py", "processing_job_args": {}, "extra_cmd_line_input": {"figures_dir": "f"}}
    assert run_processing_job("local", told, "out") == 0
    assert (lab / "out" / "f.png").exists()


@pytest.mark.parametrize("schedule", ["sync", "async"])
def test_a_grid_search(lab, schedule):
    from mle_toolbox import load_result_logs
    from mle_toolbox.launch.search_experiment import run_hyperparameter_search

    told = json.loads(json.dumps(GRID))
    told["search_config"]["search_schedule"] = schedule
    if schedule == "async":
        told["search_resources"] = {"num_total_evals": 4, "max_running_jobs": 4, "random_seeds": [1, 4]}
    run_hyperparameter_search("local", META, {}, told)
    for name in ("hyper_log.pkl", "meta_log.hdf5", "search_base_config.yaml", "search_log.yaml"):
        assert (lab / "out" / name).exists()
    assert not list((lab / "out").glob("b_*.yaml"))
    meta, hyper = load_result_logs("out")
    assert len(hyper) == 4 and sorted(hyper.search_vars) == ["batch", "lr"] and hyper.search_metrics == ["test_loss"]
    assert sorted(meta.eval_ids) == sorted(hyper.eval_ids)
    best = hyper.filter(metric_name="test_loss", top_k=1)
    assert (best.lr.iloc[0], best.batch.iloc[0]) == (0.3, 2)
    # (0.3 - 0.3)² + 2 / 100 + 0.01 · 2.5 + 1 / 20, twice.
    assert best.test_loss.iloc[0] == pytest.approx(2 * (0.02 + 0.025 + 0.05), abs=1e-6)
    # T-15: parameters and a metric filter together; the nearest value is meant.
    assert list(hyper.filter({"lr": 0.12}, "test_loss").lr) == [0.1, 0.1] and len(hyper.filter()) == 4
    # All of it is in the one file.
    db = mle.open("out/mle.db")
    assert len(db.runs()["id"]) == 8
    assert len(db.document(int(db.sql("SELECT max(id) FROM experiments").one()), "hyper_log")) == 4


def test_t8_a_failed_seed_does_not_stop_a_search(lab):
    from mle_toolbox import load_result_logs
    from mle_toolbox.launch.search_experiment import run_hyperparameter_search

    told = json.loads(json.dumps(GRID))
    told["search_resources"].update(num_search_batches=1)
    told["search_config"]["search_params"] = {"categorical": {"fail": [True, False]}}
    run_hyperparameter_search("local", META, {}, told)
    meta, hyper = load_result_logs("out")
    assert len(hyper) == 2 and not hyper.test_loss.isna().any()


def test_t17_a_search_goes_on_where_it_was(lab):
    from mle_toolbox import load_result_logs
    from mle_toolbox.launch.search_experiment import run_hyperparameter_search

    told = json.loads(json.dumps(GRID))
    told["search_logging"]["reload_log"] = True
    told["search_resources"]["num_search_batches"] = 1
    run_hyperparameter_search("local", META, {}, told)
    told["search_resources"]["num_search_batches"] = 2
    run_hyperparameter_search("local", META, {}, told)
    _, hyper = load_result_logs("out")
    assert hyper.eval_ids == ["b_1_eval_0", "b_1_eval_1", "b_2_eval_0", "b_2_eval_1"]
    assert len({(lr, batch) for lr, batch in zip(hyper.lr, hyper.batch)}) == 4
    # T-24: what was given is as it was.
    assert told["search_resources"]["num_search_batches"] == 2


# The command line.


def test_run_and_report(lab):
    path = write(
        lab, meta_job_args={**META, "experiment_type": "hyperparameter-search"}, single_job_args={"num_logical_cores": 1},
        param_search_args=GRID,
    )  # fmt: skip
    code, said = toolbox("run", path, "-nw", "-resource", "local", "--experiment_dir", "there", "--purpose", "Test", "it")
    assert code == 0, said
    assert (lab / "there" / "experiment_config.yaml").exists() and (lab / "there" / "hyper_log.pkl").exists()
    from mle_monitor import MLEProtocol
    from mle_toolbox.src.report import report

    record = MLEProtocol("~/local_mle_protocol.db").get()
    assert (record["purpose"], record["job_status"], record["num_total_jobs"]) == ("Test it", "completed", 8)
    assert record["completed_jobs"] == 8
    report(namedtuple("Args", ["use_last_id"])(True))
    assert toolbox("report", "--use_last_id")[0] == 0
    for name in ("train_loss_1d.png", "test_loss_1d.png"):
        assert (lab / "there" / "figures" / name).exists()
    # T-6: two parameters, so a heat map.
    assert list((lab / "there" / "figures").glob("test_loss_*_2d.png"))
    reports = sorted(path.name for path in (lab / "there" / "reports").iterdir())
    assert reports == ["1.html", "1.md", "1.pdf"]
    # T-19: the page stands alone.
    page = (lab / "there" / "reports" / "1.html").read_text()
    assert "src=\"data:image/png;base64," in page and "http" not in page
    assert MLEProtocol("~/local_mle_protocol.db").get()["report_generated"] is True
    assert "Test it" in toolbox("protocol")[1]


def test_the_program_mle_hands_its_command_lines_over(lab):
    import mle

    path = write(
        lab, meta_job_args={**META, "experiment_type": "hyperparameter-search"}, single_job_args={}, param_search_args=GRID
    )
    words = [mle.program("mle"), "run", path, "-nw", "-np", "-resource", "local", "--experiment_dir", "there"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    for name in ("hyper_log.pkl", "meta_log.hdf5", "search_base_config.yaml", "experiment_config.yaml"):
        assert (lab / "there" / name).exists()
    # Without them it is its own `mle run`, which reads the same file.
    done = subprocess.run([*words[:3], "--db", "x.db", "--dry-run"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "grid" in done.stdout, done.stdout


def test_a_shell_script(lab):
    (lab / "train.sh").write_text('exec "$PYTHON" train.py "$@"\n')
    (lab / "other.yaml").write_text(BASE)
    path = write(
        lab, meta_job_args={**META, "base_train_fname": "train.sh", "experiment_type": "multiple-configs"}, single_job_args={},
        multi_config_args={"config_fnames": ["base.yaml", "other.yaml"], "num_seeds": 2, "random_seeds": [1, 4]},
    )  # fmt: skip
    os.environ["PYTHON"] = sys.executable
    try:
        code, said = toolbox("run", path, "-nw", "-np", "-resource", "local")
    finally:
        del os.environ["PYTHON"]
    assert code == 0, said
    from mle_logging import load_log

    log = load_log("out/meta_log.hdf5", aggregate_seeds=True)
    assert sorted(log.eval_ids) == ["base", "other"] and len(log["base"].stats.test_loss.mean) == 5


@pytest.mark.parametrize("kind", ["Random", "Nevergrad"])
def test_several_objectives(lab, kind):
    from mle_toolbox import load_result_logs

    if kind == "Nevergrad":
        pytest.importorskip("nevergrad")
    told = json.loads(json.dumps(GRID))
    told["search_logging"]["eval_metrics"] = ["test_loss", "train_loss"]
    told["search_config"]["search_type"] = kind
    told["search_config"]["search_params"]["real"] = {"lr": {"begin": 0.1, "end": 0.3, "prior": "uniform"}}
    if kind == "Nevergrad":
        told["search_config"]["search_config"] = {"optimizer": "OnePlusOne", "budget_size": 4, "num_workers": 2}
    path = write(
        lab, meta_job_args={**META, "experiment_type": "hyperparameter-search"}, single_job_args={}, param_search_args=told
    )
    code, said = toolbox("run", path, "-nw", "-np", "-resource", "local")
    assert code == 0, said
    meta, hyper = load_result_logs("out")
    assert len(hyper) == 4 and sorted(hyper.search_metrics) == ["test_loss", "train_loss"]
    assert all(value == value for value in hyper.test_loss) and all(value == value for value in hyper.train_loss)


def test_t1_scripts_before_and_after(lab):
    (lab / "step.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('-exp_dir')\np.add_argument('-note')\n"
        "a = p.parse_args()\nopen(a.exp_dir + '/' + a.note, 'w')\n"
    )

    def step(note):
        return {"processing_fname": "step.py", "processing_job_args": {}, "extra_cmd_line_input": {"note": note}}

    path = write(
        lab, meta_job_args={**META, "experiment_type": "single-config"}, single_job_args={},
        pre_processing_args=step("before"), post_processing_args=step("after"),
    )  # fmt: skip
    code, said = toolbox("run", path, "-nw", "-np", "-resource", "local")
    assert code == 0, said
    assert (lab / "out" / "before").exists() and (lab / "out" / "after").exists()
    assert not (lab / "local_mle_protocol.db").exists()


def test_t3_failed_jobs_are_no_success(lab):
    from mle_monitor import MLEProtocol

    (lab / "train.py").write_text("raise SystemExit(3)\n")
    path = write(lab, meta_job_args={**META, "experiment_type": "single-config"}, single_job_args={})
    code, said = toolbox("run", path, "-nw", "-resource", "local")
    assert code == 1, said
    assert MLEProtocol("~/local_mle_protocol.db").get()["job_status"] == "failed"


def test_t4_t7_files_are_checked(lab):
    from mle_toolbox.launch import check_experiment_config, compose_protocol_data
    from mle_toolbox.utils import load_experiment_config, load_mle_toolbox_config

    pbt = {
        "meta_job_args": {**META, "experiment_type": "population-based-training"}, "single_job_args": {},
        "param_search_args": {**GRID, "search_config": {"search_params": {}}},
    }  # fmt: skip
    checked = check_experiment_config(pbt)
    assert checked.meta_job_args.experiment_type == "hyperparameter-search"
    assert checked.param_search_args.search_config.search_type == "PBT"
    for change, message in (
        ({"meta_job_args": {**META, "experiment_type": "multiple-config"}}, "'multiple-config'"),
        ({"param_search_args": {}}, "param_search_args.search_logging is missing"),
        ({"single_job_args": {}, "meta_job_args": {**META, "experiment_type": "multiple-configs"}}, "multi_config_args"),
    ):
        with pytest.raises(ValueError, match=message):
            check_experiment_config({**pbt, **change})
    with pytest.raises(FileNotFoundError, match="nowhere.yaml"):
        check_experiment_config({**pbt, "meta_job_args": {**pbt["meta_job_args"], "base_train_config": "nowhere.yaml"}})
    path = write(lab, meta_job_args={**META, "experiment_type": "single-config"}, single_job_args={"num_gpus": 1})
    dotmap = pytest.importorskip("dotmap")
    found = load_experiment_config(dotmap.DotMap({"config_fname": path, "experiment_dir": "there"}))
    assert type(found) is dotmap.DotMap and found.meta_job_args.experiment_dir == "there"
    meta, extra = compose_protocol_data(found, "local", "why")
    assert (meta["purpose"], meta["num_gpus"], meta["num_total_jobs"]) == ("why", 1, 1) and "single_job_args" in extra
    assert compose_protocol_data(checked, "local", None)[0]["num_total_jobs"] == 8
    assert type(load_mle_toolbox_config("nowhere.toml")) is dotmap.DotMap
    (lab / "c.toml").write_text('[slurm.default_job_args]\ngpu_tpye = "v100"\n[general]\nrandom_seed = 7\n')
    config = load_mle_toolbox_config("c.toml")
    assert config.slurm.default_job_arguments.gpu_type == "v100"
    assert (config.general.random_seed, config.general.local_protocol_fname) == (7, "~/local_mle_protocol.db")


def test_a_bad_file_is_told_of_before_anything_is_done(lab):
    path = write(lab, meta_job_args={**META, "experiment_type": "single-config"}, single_job_args={})
    code, said = toolbox("run", path, "-nw", "-train_fname", "nowhere.py")
    assert code == 2 and "'nowhere.py'" in said
    assert not (lab / "local_mle_protocol.db").exists() and not (lab / "out").exists()


# Training scripts.


def test_an_experiment_in_a_script(lab, monkeypatch):
    from mle_toolbox import MLExperiment

    words = ["train.py", "-config", "base.yaml", "-exp_dir", "here", "-seed", "3", "-wb_project", "w", "-lr", "0.5", "-x", "y"]
    monkeypatch.setattr(sys, "argv", words)
    found = MLExperiment(train_config={"lr": 9}, model_config={"depth": 2})
    assert (found.seed_id, found.experiment_dir, found.wb_project) == (3, "here", "w")
    assert (found.train_config.lr, found.train_config.batch, found.train_config.seed_id) == (9, 3, 3)
    assert (found.model_config.width, found.model_config.depth, found.device_config) == (4, 2, None)
    assert dict(found.extra_config) == {"-lr": 0.5, "-x": "y"}
    assert [found.ready_to_log(n) for n in (0, 1, 4, 5, 9)] == [True, False, True, False, True]
    # T-2: it is saved.
    found.update_log({"num_updates": 1}, {"train_loss": 1.0, "test_loss": 2.0}, save=True)
    assert (lab / "here" / "base" / "logs" / "log_seed_3.hdf5").exists()
    assert np.random.rand() == np.random.RandomState(3).rand()


def test_an_experiment_without_a_config(monkeypatch, capsys):
    from mle_toolbox import MLExperiment

    monkeypatch.setattr(sys, "argv", ["train.py"])
    several = {"ckpt": ["final_seed_1.pt", "final_seed_11.pt", "final_seed_0.pt"]}
    assert MLExperiment("nowhere.json", auto_setup=False, train_config=several).model_ckpt_path == "final_seed_0.pt"
    found = MLExperiment("nowhere.json", auto_setup=False, train_config={"extra": {"sh_ckpt": "c.pt"}})
    assert "nowhere.json" in capsys.readouterr().out
    assert found.log is None and found.model_ckpt_path == "c.pt" and found.log_config.what_to_track == ["loss"]


# Results.


@pytest.fixture
def hyper_log(lab):
    from mle_toolbox.search import HyperoptLogger

    logger = HyperoptLogger("hyper_log.pkl", eval_metrics="integral")

    class Log(dict):
        eval_ids = property(list)

    values = {"b_1_eval_0": (1.0, 3.0, 2.0), "b_1_eval_1": (5.0, 4.0, 4.5)}
    log = Log({
        name: {"stats": {"integral": {"mean": np.array(one), "p50": np.array(one) + 1}}, "meta": {"seeds": [1, 2]}}
        for name, one in values.items()
    })  # fmt: skip
    proposals = [{"lr": 0.3, "net": {"width": 4}}, {"lr": 0.1, "net": {"width": 8}}]
    assert logger.update_log(proposals, log, 1.5, list(values)) == ([2.0, 4.5], None)
    logger.save_log()
    return log


def test_a_hyper_log_is_read_again(hyper_log):
    from mle_toolbox.search import HyperoptLogger
    from mle_toolbox.utils import load_hyper_log

    again = HyperoptLogger("hyper_log.pkl", eval_metrics="integral", reload_log=True)
    assert again.iter_id == 2 == len(again)
    best = {"run_id": 2, "score": 4.5, "params": {"lr": 0.1, "net": {"width": 8}}}
    assert again.best_per_metric == {"integral": best}
    found = load_hyper_log("hyper_log.pkl")
    assert found.search_vars == ["lr", "net/width"] and found.unique("lr") == [0.1, 0.3]
    # An eval that left nothing has failed, and is never the best.
    assert np.isnan(again.update_log({"lr": 1}, hyper_log, 1.0, "b_2_eval_0")[0][0])
    assert again.best_per_metric["integral"]["run_id"] == 2


@pytest.mark.parametrize(
    "how,score", [("final", 2.0), ("best", 3.0), ("mean", 2.0), (("best", False), 1.0), (("final", "p50"), 3.0)]
)
def test_scores(hyper_log, how, score):
    from mle_toolbox.search import HyperoptLogger

    kind, more = how if isinstance(how, tuple) else (how, None)
    named = {"aggregate_seeds": more} if isinstance(more, str) else {"max_objective": more is not False}
    logger = HyperoptLogger("x.pkl", problem_type=kind, eval_metrics=["integral"], **named)
    assert logger.update_log({"lr": 1}, hyper_log, 1.0, "b_1_eval_0")[0] == [score]


def test_reading_a_pickle_runs_nothing(lab):
    from mle_toolbox.utils import load_pkl_object

    class Evil:
        def __reduce__(self):
            return (os.system, ("touch injected",))

    (lab / "evil.pkl").write_bytes(pickle.dumps({1: Evil()}))
    with pytest.raises(pickle.UnpicklingError, match="none of what logs consist of"):
        load_pkl_object("evil.pkl")
    assert not (lab / "injected").exists()
    plain = {1: {"params": {"a": np.float64(1), "b": np.arange(3)}, "t": (1, "x", None, True)}}
    (lab / "plain.pkl").write_bytes(pickle.dumps(plain))
    assert load_pkl_object("plain.pkl")[1]["params"]["b"].tolist() == [0, 1, 2]


def test_names_address_sections():
    from mle_toolbox.search import compose_config

    base = {"train_config": {"lr": 1, "extra": {"keep": 1}}, "model_config": {"width": 2}}
    given = {"lr": 5, "model:width": 7, "model:act": "relu", "extra": {"new": 2}}
    assert compose_config(base, given) == {
        "train_config": {"lr": 5, "extra": {"keep": 1, "new": 2}}, "model_config": {"width": 7, "act": "relu"},
    }  # fmt: skip
    assert base["train_config"]["lr"] == 1
    assert compose_config({"lr": 1}, {"lr": True}) == {"lr": True}


# Statistics.


class Log(dict):
    eval_ids = property(list)


def of_seeds(**runs):
    """A log aggregated over seeds, of their last values."""
    return Log({
        name: {
            "stats": {"integral": {"mean": np.array([0.0, np.mean(x)]), "std": np.array([0.0, np.std(x)])}},
            "meta": {"seeds": list(range(len(x)))},
        }
        for name, x in runs.items()
    })  # fmt: skip


def test_t22_seeds_are_the_samples():
    from mle_toolbox.experimental.hypothesis import HypothesisTester

    stats = pytest.importorskip("scipy.stats")
    a, b, c = [1.0, 1.2, 0.9, 1.1], [1.5, 1.4, 1.9], [1.1, 1.0, 1.3, 1.2, 0.8]
    tester = HypothesisTester(of_seeds(a=a, b=b, c=c))
    found = tester.run_pairwise("integral")
    for at, x in enumerate((a, b, c)):
        for other, y in enumerate((a, b, c)):
            expected = 1.0 if at == other else stats.ttest_ind(x, y, equal_var=False, alternative="less").pvalue
            # The first run is the lowest row.
            assert found[2 - at, other] == pytest.approx(expected, rel=1e-9)
            assert tester.p_of("abc"[at], "abc"[other]) == found[2 - at, other]
    tester.run_corrections()
    assert len(tester.corrected_p_vals) == 9
    assert all(values.shape == (3, 3) and (np.diag(values[::-1]) == 1).all() for values in tester.corrected_p_vals.values())
    tester.plot(corrected=True, method="holm", fname="p.png")
    assert os.path.exists("p.png")
    # Single seeds give the same.
    single = Log({
        name: {f"seed_{at}": {"stats": {"integral": np.array([0.0, value])}} for at, value in enumerate(x)}
        for name, x in (("a", a), ("b", b))
    })  # fmt: skip
    assert HypothesisTester(single).run_pairwise("integral")[0, 1] == pytest.approx(found[1, 1], rel=1e-12)


def test_one_seed_says_nothing(caplog):
    from mle_toolbox.experimental.hypothesis import HypothesisTester

    tester = HypothesisTester(of_seeds(a=[1.0], b=[1.0, 2.0], c=[3.0, 3.5]))
    found = tester.run_pairwise("integral")
    assert np.isnan(found[2, 1]) and not np.isnan(found[1, 2]) and "fewer than two seeds" in caplog.text
    assert tester.run_corrections()["holm"].shape == (3, 3)


def test_t_distribution():
    from mle_toolbox.experimental.hypothesis import t_cdf

    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 1.5, 3, 10, 100, 1e4):
        for t in (-30, -2, -0.1, 0, 0.3, 5):
            assert t_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), rel=1e-9)


def test_corrections():
    from mle_toolbox.experimental.hypothesis import METHODS, correct

    p = np.array([0.01, 0.02, 0.03, 0.04])
    # By hand.
    expected = {
        "bonferroni": [0.04, 0.08, 0.12, 0.16],
        "holm": [0.04, 0.06, 0.06, 0.06],
        "simes-hochberg": [0.04, 0.04, 0.04, 0.04],
        "hommel": [0.04, 0.04, 0.04, 0.04],
        "sidak": (1 - (1 - p) ** 4).tolist(),
        "holm-sidak": np.maximum.accumulate(1 - (1 - p) ** np.array([4, 3, 2, 1])).tolist(),
        "fdr_bh": [0.04, 0.04, 0.04, 0.04],
    }
    for method, values in expected.items():
        assert correct(p, method) == pytest.approx(values)
        # The order of tests is of no consequence.
        assert correct(p[::-1], method) == pytest.approx(values[::-1])
    # Hommel's is never above Hochberg's, which is never above Holm's.
    numbers = np.random.default_rng(0)
    for _ in range(50):
        p = numbers.random(7) ** 3
        hommel, hochberg, holm = (correct(p, method) for method in ("hommel", "simes-hochberg", "holm"))
        assert (hommel <= hochberg + 1e-12).all() and (hochberg <= holm + 1e-12).all()
        assert all((correct(p, method) >= p - 1e-12).all() for method in METHODS if not method.startswith("fdr_ts"))
    # Two stages: of four, two are found at the first, so half of them may be true.
    p = np.array([0.001, 0.002, 0.6, 0.9])
    assert correct(p, "fdr_tsbh") == pytest.approx(correct(p, "fdr_bh") / 2)
    with pytest.raises(ValueError, match="'guess'"):
        correct(p, "guess")


# Figures.


@pytest.fixture
def frame():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    rows = [(lr, width, lr * width) for lr in (3.0, 1.0, 2.0) for width in (4, 2)]
    return pandas.DataFrame(rows + [(3.0, 4, 14.0)], columns=["lr", "width", "score"])


def test_t14_bars_have_their_labels(frame):
    from mle_toolbox.visualize import visualize_1D_bar, visualize_1D_line

    fig, ax = visualize_1D_bar(frame, {"width": 2}, "lr", "score", "t", ["x", "y"], hline=3.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1.0", "2.0", "3.0"]
    assert [bar.get_height() for bar in ax.patches] == [2.0, 4.0, 6.0]
    visualize_1D_bar(frame, {"width": 2}, "lr", "score", fname="bar.png")
    fig, ax = visualize_1D_line(frame, {"width": 2}, "lr", "score", ylims=[0, 9])
    assert ax.lines[0].get_ydata().tolist() == [2.0, 4.0, 6.0] and ax.get_ylim() == (0, 9)
    visualize_1D_line(frame, {"width": 2}, "lr", "score", fname="line.png")
    assert os.path.exists("bar.png") and os.path.exists("line.png")
    with pytest.raises(ValueError, match="no eval has"):
        visualize_1D_bar(frame, {"width": 3}, "lr", "score")


def test_t6_a_heat_map_of_repeated_and_missing_points(frame):
    from mle_toolbox.visualize import visualize_2D_grid

    frame = frame[~((frame.lr == 1.0) & (frame.width == 2))]
    values, across, up = visualize_2D_grid(frame, None, ["lr", "width"], "score", return_array=True)
    assert (across, up) == ([1.0, 2.0, 3.0], [2, 4])
    assert np.isnan(values[0, 0]) and values[1].tolist() == [4.0, 8.0, 13.0]
    fig, ax = visualize_2D_grid(frame, {}, ["lr", "width"], "score", "t", "s", ["x", "y"], "v", text_in_cell=True)
    assert ax.images[0].origin == "lower" and len(ax.texts) == 5
    normed, _, _ = visualize_2D_grid(frame, None, ["lr", "width"], "score", norm_rows=True, return_array=True)
    assert normed[1].tolist() == [0.0, pytest.approx(4 / 9), 1.0]
    visualize_2D_grid(frame, None, ["lr", "width"], "score", fname="grid.png")
    assert os.path.exists("grid.png")


def test_learning_curves():
    from mle_toolbox.visualize import moving_smooth_ts, visualize_1D_lcurves

    pytest.importorskip("matplotlib")
    assert moving_smooth_ts([1.0, 3.0, 5.0], 2)[0].tolist() == [1.0, 2.0, 4.0]

    def run(shift):
        column = {"mean": np.arange(4.0) + shift, "std": np.ones(4)}
        return {"stats": {"r": column}, "time": {"n": np.arange(4)}, "meta": {"seeds": [1, 2, 3, 4]}}

    log = Log({"run_10": run(1), "run_2": run(0)})
    fig, ax = visualize_1D_lcurves(log, "n", "r", smooth_window=1, base_label="<{}>", plot_ste_bar=True)
    assert [line.get_label() for line in ax.lines] == ["<run_2>", "<run_10>"]
    assert ax.lines[1].get_ydata().tolist() == [1.0, 2.0, 3.0, 4.0] and len(ax.collections) == 2
    visualize_1D_lcurves(log, "n", "r", fname="curves.png")
    assert os.path.exists("curves.png")


@pytest.mark.parametrize("name,shape", [
    ("animate_1D_lines", (3, 2)), ("animate_2D_grid", (3, 4, 5)), ("animate_2D_scatter", (3, 6, 2)),
    ("animate_3D_scatter", (3, 6, 3)), ("animate_3D_surface", (3, 4, 5)),
])  # fmt: skip
def test_animations(name, shape):
    from PIL import Image

    from mle_toolbox import visualize

    data = np.random.default_rng(0).normal(size=shape)
    before = [np.arange(5), np.arange(4)] if name.endswith("surface") else []
    getattr(visualize, name)(*before, data, fname="a.gif")
    assert Image.open("a.gif").n_frames == 3
    with pytest.raises(ValueError, match="shape"):
        getattr(visualize, name)(*before, data[0], fname="b.gif")


MODEL = """
import numpy
from mle_toolbox import MLExperiment

mle = MLExperiment("base.yaml")
train = mle.train_config
lr = train.params.lr if train.params else train.lr
extra = train.extra or {}
more = extra.get("sh_num_add_iters") or extra.get("pbt_num_add_iters") or 1
done = numpy.load(mle.model_ckpt_path, allow_pickle=True) if mle.model_ckpt_path else numpy.zeros(1)
total = float(done[0]) + more
loss = (lr - 0.3) ** 2 + 1 / total
mle.update_log({"num_updates": total}, {"train_loss": total, "test_loss": loss}, model=numpy.array([total]), save=True)
"""
UNIFORM = {"real": {"lr": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}}


@pytest.mark.parametrize(
    "kind,batches,size,settings,updates",
    [
        ("Random", 1, 2, {"refine_after": 2, "refine_top_k": 2}, [1, 1]),
        ("SMBO", 2, 1, {"base_estimator": "GP", "acq_function": "gp_hedge", "n_initial_points": 1, "metric_to_model": "test_loss"}, [1, 1]),
        # Four arms for one update, the better two for one more, the best for two more.
        ("Halving", 5, None, {"min_budget": 1, "num_arms": 4, "halving_coeff": 2}, [1, 1, 1, 1, 2, 2, 4]),
        ("Hyperband", 1, None, {"max_resource": 4, "eta": 2}, [1, 1, 1, 1]),
        ("PBT", 2, 2, {
            "num_workers": 2, "steps_until_ready": 1, "explore": {"strategy": "perturbation", "perturb_coeffs": [0.8, 1.2]},
            "exploit": {"strategy": "truncation", "selection_percent": 0.5},
        }, [1, 1, 2, 2]),
    ],
)  # fmt: skip
def test_all_strategies(lab, kind, batches, size, settings, updates):
    from mle_toolbox.launch.search_experiment import run_hyperparameter_search
    from mle_toolbox.utils import load_hyper_log

    seeds = [7, 8] if kind == "Halving" else [7]
    (lab / "train.py").write_text(MODEL)
    (lab / "base.yaml").write_text(BASE + "  model_type: numpy\n")
    told = {
        "search_logging": {"max_objective": False, "eval_metrics": ["test_loss", "train_loss"] if kind == "SMBO" else "test_loss"},
        "search_resources": {"num_search_batches": batches, "num_evals_per_batch": size, "random_seeds": seeds},
        "search_config": {"search_type": kind, "search_params": UNIFORM, "search_config": settings},
    }
    run_hyperparameter_search("local", META, {}, told)
    hyper = load_hyper_log("out/hyper_log.pkl")
    lrs = hyper.lr.to_numpy(float)
    assert hyper.search_vars == ["lr"] and ((0.1 <= lrs) & (lrs <= 0.5)).all()
    # What each trained in all, from its checkpoint on.
    assert hyper.test_loss.to_numpy(float) == pytest.approx((lrs - 0.3) ** 2 + 1 / np.array(updates), abs=1e-6)
    if kind == "SMBO":
        assert sorted(hyper.search_metrics) == ["test_loss", "train_loss"]
