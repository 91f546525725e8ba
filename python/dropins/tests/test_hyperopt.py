"""mle_hyperopt: what its scripts rely on."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import mle
from mle_hyperopt import (
    GridSearch,
    HalvingSearch,
    HyperbandSearch,
    NevergradSearch,
    PBTSearch,
    RandomSearch,
    SMBOSearch,
    hyperopt,
)
from mle_hyperopt import cli
from mle_hyperopt.spaces import GridSpace, NevergradSpace, ParameterGrid, RandomSpace, SMBOSpace
from mle_hyperopt.utils import (
    flatten_config,
    load_log,
    load_yaml,
    merge_config_dicts,
    unflatten_config,
    visualize_2D_grid,
)
from searches import REAL, WHOLE, LISTS, SPACE, GRID, ONE_OF_EACH, folder, loss, made, step  # noqa: F401: a fixture


# What scripts rely on ---------------------------------------------------------------------------------------------------


def test_random_search_draws_what_the_original_draws():
    strategy = RandomSearch(*SPACE, search_config=None, seed_id=42)
    configs = strategy.ask(5)
    assert [config["lrate"] for config in configs] == [0.4186171947440932, 0.3394633936788146, 0.13998996632720118, 0.23348344445560876, 0.12256463161084011]
    assert [config["batch_size"] for config in configs] == [3, 2, 3, 3, 4]
    assert [config["arch"] for config in configs] == ["mlp", "cnn", "mlp", "cnn", "cnn"]
    strategy.tell(configs, [loss(config) for config in configs])
    assert len(strategy) == 5 and strategy.log[-1]["params"] == configs[-1] and strategy.log[0]["eval_id"] == 0
    asked, names = strategy.ask(2, store=True)
    assert names == ["eval_5.yaml", "eval_6.yaml"] and load_yaml("eval_6.yaml", False) == asked[1]
    strategy.ask(2, store=True, config_fnames=["a.json", "b.yaml"])
    assert os.path.isfile("a.json") and os.path.isfile("b.yaml")
    ids, best, evals, ckpts = strategy.get_best(2)
    assert (ids == [4, 3]).all() and evals == [10.005996236277564, 11.00112114105261] and ckpts is None
    assert best == [configs[4], configs[3]]
    assert strategy.get_best()[:3] == (4, configs[4], 10.005996236277564)


def test_maximizing_and_what_is_fixed():
    strategy = RandomSearch(REAL, maximize_objective=True, fixed_params={"momentum": 0.9, "net": {"width": 3}})
    configs = strategy.ask(5)
    assert all(config["momentum"] == 0.9 and config["net"] == {"width": 3} for config in configs)
    values = [0.1, 0.2, 0.45, 0.3, 0.4]
    strategy.tell(configs, values, [f"c{at}" for at in range(5)])
    assert strategy.get_best() == (2, {"lrate": configs[2]["lrate"]}, 0.45, "c2")
    assert strategy.get_best(3)[3] == ["c2", "c4", "c3"]
    assert strategy.improvement(0.45) and not strategy.improvement(0.44)


@pytest.mark.parametrize("kind", ["Random", "Grid", "SMBO", "Nevergrad", "Coordinate"])
def test_points_are_asked_for_and_told_by_hand(kind):
    strategy = made(kind)
    told = {"arch": "mlp", "lrate": 0.4, "batch_size": 3}
    strategy.tell([{**told, "lrate": 0.1}, {**told, "lrate": 0.2}, told], [0.9, 0.8, 0.45])
    assert strategy.get_best() == (2, told, 0.45, None)
    proposals = step(strategy)
    assert proposals and len(strategy) == 3 + len(proposals)
    # A default of Coordinate may be off its grid, as one is here.
    names = [strategy.order[0]] if kind == "Coordinate" else list(told)
    assert all(strategy.space.has(name, proposal[name]) for proposal in proposals for name in names)


def test_halving_has_its_rungs():
    strategy = HalvingSearch(*SPACE, search_config={"min_budget": 1, "num_arms": 20, "halving_coeff": 2}, seed_id=42)
    assert strategy.num_sh_batches == 5
    assert strategy.evals_per_batch == [20, 10, 5, 2, 1] and strategy.iters_per_batch == [1, 2, 4, 8, 16]
    assert strategy.total_num_iters == 92
    first = step(strategy)
    assert len(first) == 20 and first[0]["extra"] == {"sh_num_total_iters": 1, "sh_num_add_iters": 1, "sh_counter": 0}
    second = strategy.ask()
    assert len(second) == 10 and second[0]["extra"]["sh_ckpt"].startswith("ckpt_0_")
    best = sorted(range(20), key=lambda at: loss(first[at]))[:10]
    assert [one["params"] for one in second] == [first[at]["params"] for at in best]
    assert [one["extra"]["sh_ckpt"] for one in second] == [f"ckpt_0_{at}" for at in best]


def test_hyperband_has_its_loops():
    strategy = HyperbandSearch(*SPACE, search_config={"max_resource": 81, "eta": 3})
    assert strategy.sh_num_arms == [81, 27, 9, 6, 5] and strategy.sh_budgets == [1, 3, 9, 27, 81]
    counts = []
    for _ in range(6):
        asked = strategy.ask()
        counts.append(len(asked) if isinstance(asked, list) else "a dict")
        step(strategy)
    assert counts == [81, 27, 9, 3, "a dict", 27] and strategy.hb_counter == 1


def test_a_population_says_what_it_copies():
    config = {"exploit": {"strategy": "truncation", "selection_percent": 0.2}, "explore": {"strategy": "additive-noise", "noise_scale": 0.35}, "steps_until_ready": 4, "num_workers": 2}
    strategy = PBTSearch(*SPACE, search_config=config)
    first = strategy.ask()
    strategy.tell(first, [1.0, 2.0], [[0.1, 0.2], [0.3, 0.4]])
    second = strategy.ask()
    assert set(second[1]["extra"]) == {f"pbt_{name}" for name in (
        "num_total_iters", "num_add_iters", "worker_id", "step_counter", "explore", "copy_id", "old_params", "copy_params",
        "old_performance", "copy_performance", "ckpt")}  # fmt: skip
    assert second[1]["extra"]["pbt_ckpt"] == [0.1, 0.2] and second[1]["extra"]["pbt_copy_params"] == first[0]["params"]
    assert second[0]["params"] == first[0]["params"] and second[1]["extra"]["pbt_num_total_iters"] == 8


@pytest.mark.parametrize("name", ["search_log.json", "search_log.pkl", "search_log.yaml"])
def test_a_grid_goes_on_after_reloading(name):
    strategy = GridSearch(*GRID)
    configs = strategy.ask(batch_size=2)
    strategy.tell(configs, [0.5, 0.6])
    strategy.save(name)
    assert os.path.isfile(name)
    again = GridSearch(*GRID, reload_path=name)
    assert again.eval_counter == 2 and again.ask() == strategy.ask()


@pytest.mark.parametrize("kind", ["Random", "Nevergrad"])
def test_several_objectives(kind, capsys):
    strategy = made(kind, verbose=1)
    for _ in range(3):
        configs = strategy.ask(5)
        strategy.tell(configs, [(loss(config), -config["lrate"]) for config in configs])
    ids, configs, evals, ckpts = strategy.get_best()
    front = [record["eval_id"] for record in strategy.log if not any(
        all(a <= b for a, b in zip(other["objective"], record["objective"])) and other["objective"] != record["objective"]
        for other in strategy.log)]  # fmt: skip
    assert sorted(ids) == front and ckpts is None
    strategy.print_ranking()
    assert "Best Overall" in capsys.readouterr().out


def test_refining_random_search():
    whole = {"batch_size": {"begin": 1, "end": 5, "prior": "log-uniform"}}
    strategy = RandomSearch(REAL, whole, LISTS, search_config={"refine_after": 5, "refine_top_k": 2}, seed_id=42, verbose=True)
    step(strategy)
    assert strategy.last_refined == 5
    assert strategy.space.bounds["lrate"][1:] == [0.12256463161084011, 0.34044600469728353]
    assert strategy.space.bounds["batch_size"][1:] == [3, 3] and len(strategy.space.bounds["arch"][1:]) == 2
    later = [config for _ in range(4) for config in step(strategy)]
    assert all(0.1225 < config["lrate"] < 0.3405 and config["batch_size"] == 3 for config in later)


def test_refining_smbo_begins_with_the_points_of_the_original():
    config = {"base_estimator": "GP", "acq_function": "gp_hedge", "n_initial_points": 5, "refine_after": 5, "refine_top_k": 2}
    strategy = SMBOSearch(*SPACE, search_config=config, seed_id=42, fixed_params={"zero": 0, "a": {"b": 1}})
    first = step(strategy)
    assert [one["lrate"] for one in first] == [0.39109029727093003, 0.3680591793075739, 0.39580169367616824, 0.3199855767239137, 0.3528382512601542]
    assert [one["batch_size"] for one in first[1:]] == [3, 3, 2, 1]
    assert strategy.last_refined == 5 and strategy.space.bounds["lrate"][1:] == [0.3680591793075739, 0.39580169367616824]


def test_refining_nevergrad():
    pytest.importorskip("nevergrad")
    config = {"optimizer": "NGOpt", "budget_size": 100, "num_workers": 5, "refine_after": [5, 10], "refine_top_k": 2}
    strategy = NevergradSearch(*SPACE, search_config=config)
    step(strategy)
    assert strategy.last_refined == 5
    step(strategy)
    assert strategy.last_refined == 10 and "NGOpt" in strategy.optimizers


@pytest.mark.parametrize("kind", [RandomSpace, SMBOSpace, NevergradSpace])
def test_spaces_that_are_drawn_from(kind):
    space = kind(*SPACE)
    assert all(space.contains(space.sample()) for _ in range(50))
    for outside in ({"lrate": 0.6}, {"batch_size": 2.0}, {"batch_size": 0}, {"arch": "rnn"}, {"lrate": 0.05, "other": 1}):
        assert not space.contains(outside)
    assert space.num_dims == 3 and space.variable_names == ["lrate", "batch_size", "arch"]
    assert [row["name"] for row in space.describe()] == ["arch", "lrate", "batch_size"]


def test_grids():
    space = GridSpace(*GRID)
    assert len(space) == 50 and space.sample(grid_counter=0) == {"arch": "mlp", "batch_size": 1, "lrate": 0.1}
    assert space.contains(space.sample(grid_counter=49)) and not space.contains({"lrate": 0.15})
    assert space.sample(1)["lrate"] == 0.2 and list(space.sample(0)) == ["arch", "batch_size", "lrate"]
    grid = ParameterGrid({"a": range(1000), "b": range(1000), "c": range(1000)})
    assert len(grid) == 10**9 and grid[123456789] == {"a": 123, "b": 456, "c": 789}


def test_the_decorator_returns_the_strategy():
    space = {name: {"begin": 0.0, "end": 1.0, "bins": 5} for name in ("x", "y")}

    @hyperopt(strategy_type="Grid", num_search_iters=25, real=space)
    def distance(config, power=2):
        return config["x"] ** power + config["y"]

    strategy = distance(power=1)
    assert len(strategy) == 25 and strategy.get_best()[1] == {"x": 0.0, "y": 0.0}
    assert len(distance()) == 25, "a grid that is used up is an end"


def test_figures_and_tables(capsys):
    pytest.importorskip("matplotlib")
    pd = pytest.importorskip("pandas")
    strategy = GridSearch(*GRID, verbose=True)
    for _ in range(10):
        step(strategy)
    strategy.print_ranking()
    assert strategy.plot_best("best_plot.png") is None and os.path.getsize("best_plot.png") > 0
    fig, ax = strategy.plot_best()
    assert ax.lines[-1].get_ydata()[-1] == min(record["objective"] for record in strategy.log)
    options = {"params_to_plot": ["lrate", "batch_size"], "plot_title": "T", "plot_subtitle": "S", "xy_labels": ["x", "y"], "variable_name": "v", "every_nth_tick": 2}
    assert strategy.plot_grid(fixed_params={"arch": "mlp"}, fname="grid.png", **options) is None and os.path.getsize("grid.png") > 0
    heat, across, up = visualize_2D_grid(strategy.df, {"arch": "cnn"}, ["lrate", "batch_size"], return_array=True)
    assert heat.shape == (5, 5) and heat[3, 1] == 10.0 and across[1] == 0.2 and up[3] == 4
    holes = pd.DataFrame({"a": [1, 2], "b": [1, 2], "objective": [0.5, 0.7]})
    heat, _, _ = visualize_2D_grid(holes, None, ["a", "b"], return_array=True)
    assert np.isnan(heat[0, 1])
    assert list(strategy.df.columns) == ["eval_id", "objective", "arch", "batch_size", "lrate"]


def test_helpers():
    nested = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    assert flatten_config(nested) == {"a/b": 1, "a/c/d": 2, "e": [1]} and unflatten_config(flatten_config(nested)) == nested
    assert dict(merge_config_dicts({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3})) == {"a": {"x": 1, "y": 2}, "b": 3}


# The command line -------------------------------------------------------------------------------------------------------

SCRIPT = "def main(config):\n    assert config.search_eval_id.startswith('%s_')\n    params = config.get('params', config)\n    return (params.lrate - 0.3) ** 2 + config.get('offset', 0.0)\n"


def test_h20_the_program_needs_no_base_makes_folders_and_goes_on(folder, capsys):
    (folder / "script.py").write_text(SCRIPT % "random")
    (folder / "search.yaml").write_text("num_iters: 4\nsearch_type: Random\nsearch_params:\n  real:\n    lrate: {begin: 1e-3, end: 0.5, prior: log-uniform}\n")
    assert cli.search(["script.py"]) == 0 and len(load_log("search_log.yaml")) == 4
    (folder / "base.yaml").write_text("offset: 1.0\n")
    assert cli.search(["script.py", "-base", "base.yaml", "-log", "deep/logs"]) == 0
    assert cli.search(["script.py", "-base", "base.yaml", "-iters", "6", "-log", "deep/logs", "-reload"]) == 0
    records = load_log("deep/logs/search_log.yaml")
    assert [record["eval_id"] for record in records] == list(range(6)) and all(record["objective"] >= 1 for record in records)
    assert "search_eval_id" not in records[0]["params"]
    assert cli.search(["script.py", "-log", "none", "-reload"]) == 1 and "search_log.yaml" in capsys.readouterr().err


def test_h20_the_program_takes_batches_and_short_grids(folder, capsys):
    (folder / "script.py").write_text(SCRIPT % "halving")
    (folder / "search.yaml").write_text("num_iters: 100\nsearch_type: Halving\nsearch_config: {min_budget: 1, num_arms: 4, halving_coeff: 2}\nsearch_params:\n  real:\n    lrate: {begin: 0.1, end: 0.5, prior: uniform}\n")
    done = subprocess.run([sys.executable, "-m", "mle_hyperopt.cli", "script.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(load_log("search_log.yaml")) == 7
    (folder / "script.py").write_text(SCRIPT % "grid")
    (folder / "search.yaml").write_text("num_iters: 100\nsearch_type: Grid\nsearch_params:\n  real:\n    lrate: {begin: 0.1, end: 0.5, bins: 3}\n")
    assert cli.search(["script.py"]) == 0 and len(load_log("search_log.yaml")) == 3
    (folder / "search.yaml").write_text("num_iters: 1\nsearch_type: Grdi\n")
    assert cli.search(["script.py"]) == 1 and "'Grdi'" in capsys.readouterr().err


# What is stored ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ONE_OF_EACH))
@pytest.mark.parametrize("name", ["search_log.yaml", "search_log.json", "search_log.pkl"])
def test_h16_every_strategy_goes_on_after_reloading(kind, name):
    one = made(kind)
    for _ in range(2 if kind == "Coordinate" else 3):
        step(one)
    one.save(name)
    other = made(kind, reload_path=name)
    assert other.log == one.log and len(other) == len(one)
    asked, again = one.ask(3), other.ask(3)
    if kind not in ("Nevergrad",):
        # Nevergrad's optimizers are told the results again, and draw anew.
        assert asked == again
    asked = again if isinstance(again, list) else [again]
    other.tell(asked, [loss(config) for config in asked], ["c"] * len(asked))
    assert len(other) > len(one)


@pytest.mark.parametrize("kind", ["Random", "SMBO", "Halving", "Hyperband", "PBT"])
def test_h12_and_h16_files_alone_are_enough(kind):
    one = made(kind)
    for _ in range(2):
        step(one)
    one.save("search_log.yaml")
    for name in os.listdir("."):
        if name.startswith("mle.db"):
            os.remove(name)
    other = made(kind, reload_path="search_log.yaml")
    assert other.log == one.log
    if kind in ("Halving", "Hyperband"):
        assert other.ask() == one.ask()
    elif kind == "PBT":
        assert other.pbt_step_counter == 2 and [e["extra"]["pbt_copy_id"] for e in other.ask()] == [e["extra"]["pbt_copy_id"] for e in one.ask()]


def test_a_search_is_in_the_file(monkeypatch, folder):
    monkeypatch.setenv("MLE_DB", str(folder / "all.db"))
    monkeypatch.setenv("MLE_MIRROR", "0")
    strategy = RandomSearch(REAL, WHOLE, {"arch": ["mlp", ("a", 1)]})
    configs = strategy.ask(4)
    strategy.tell(configs, [1.0, float("nan"), 3.0, 4.0])
    with mle.open("all.db") as db:
        trials = db.trials().rows()
        assert [trial["value"] for trial in trials] == [1.0, None, 3.0, 4.0]
        assert trials[0]["params"]["lrate"] == configs[0]["lrate"]
    strategy.save("logs/search_log.yaml")
    assert not os.path.exists("logs/search_log.yaml")
    other = RandomSearch(REAL, WHOLE, {"arch": ["mlp", ("a", 1)]}, reload_path="logs/search_log.yaml")
    assert len(other) == 4 and math.isnan(other.log[1]["objective"])
    assert [record["params"] for record in other.log] == [record["params"] for record in strategy.log]
    other.tell(other.ask(), 0.5)
    assert len(mle.open("all.db").trials()) == 5
    with pytest.raises(FileNotFoundError, match="no_log.yaml"):
        RandomSearch(*SPACE, reload_path="no_log.yaml")


def test_a_space_is_refined_by_hand():
    strategy = RandomSearch(real={"x": {"begin": 0.0, "end": 1.0, "prior": "uniform"}}, seed_id=1)
    strategy.refine_space({"x": {"begin": 0.25, "end": 0.5, "prior": "uniform"}})
    assert all(0.25 <= point["x"] <= 0.5 for point in strategy.ask(8))
    grid = GridSearch(categorical={"x": [1, 2]})
    with pytest.raises(Exception, match="cannot be refined"):
        grid.refine_space(2)
