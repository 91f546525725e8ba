"""mle_hyperopt: what its scripts rely on, and the defects that are no more."""

import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import mle
from mle_hyperopt import (
    CoordinateSearch,
    GridSearch,
    HalvingSearch,
    HyperbandSearch,
    NevergradSearch,
    PBTSearch,
    RandomSearch,
    SMBOSearch,
    Strategies,
    hyperopt,
)
from mle_hyperopt import cli
from mle_hyperopt.space import SpaceError
from mle_hyperopt.spaces import GridSpace, NevergradSpace, ParameterGrid, RandomSpace, SMBOSpace
from mle_hyperopt.strategies.pbt import Exploit, Explore, get_truncation_ids
from mle_hyperopt.utils import (
    flatten_config,
    load_log,
    load_search_log,
    load_yaml,
    merge_config_dicts,
    save_log,
    unflatten_config,
    visualize_2D_grid,
    write_configs,
)

REAL = {"lrate": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}
WHOLE = {"batch_size": {"begin": 1, "end": 5, "prior": "uniform"}}
LISTS = {"arch": ["mlp", "cnn"]}
SPACE = (REAL, WHOLE, LISTS)
REAL_GRID = {"lrate": {"begin": 0.1, "end": 0.5, "bins": 5}}
WHOLE_GRID = {"batch_size": {"begin": 1, "end": 5, "bins": 5}}
GRID = (REAL_GRID, WHOLE_GRID, LISTS)

ONE_OF_EACH = {
    "Random": (SPACE, None),
    "Grid": (GRID, None),
    "SMBO": (SPACE, {"base_estimator": "GP", "acq_function": "gp_hedge", "n_initial_points": 5}),
    "Nevergrad": (SPACE, {"optimizer": "NGOpt", "budget_size": 50, "num_workers": 5}),
    "Coordinate": (GRID, {"order": ["arch", "lrate", "batch_size"], "defaults": {"arch": "mlp", "lrate": 0.33, "batch_size": 3}}),
    "Halving": (SPACE, {"min_budget": 1, "num_arms": 8, "halving_coeff": 2}),
    "Hyperband": (SPACE, {"max_resource": 9, "eta": 3}),
    "PBT": (SPACE, {"exploit": {"strategy": "truncation", "selection_percent": 0.4}, "explore": {"strategy": "perturbation", "perturb_coeffs": [0.8, 1.2]}, "steps_until_ready": 4, "num_workers": 4}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MLE_DB", "MLE_MIRROR", "MLE_JOB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


def loss(config):
    config = config.get("params", config)
    return (config["lrate"] - 0.2) ** 2 + (config["batch_size"] - 4) ** 2 + (0 if config["arch"] == "conv" else 10)


def made(kind, **more):
    if kind == "Nevergrad":
        pytest.importorskip("nevergrad")
    space, config = ONE_OF_EACH[kind]
    return Strategies[kind](*space, search_config=config, **more)


def step(strategy, n=5):
    """Ask and tell once; return the proposals."""
    asked = strategy.ask(n)
    proposals = asked if isinstance(asked, list) else [asked]
    ckpts = [f"ckpt_{len(strategy)}_{at}" for at in range(len(proposals))] if strategy.iterative else None
    if proposals:
        strategy.tell(proposals, [loss(one) for one in proposals], ckpts)
    return proposals


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
    assert names == ["eval_5.yaml", "eval_6.yaml"] and load_yaml("eval_6.yaml") == asked[1]
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


# The defects that are no more -------------------------------------------------------------------------------------------


def test_h1_printing_rounds_nothing(capsys):
    strategy = RandomSearch({"lrate": {"begin": 1e-6, "end": 1e-4, "prior": "log-uniform"}}, verbose=True)
    configs = strategy.ask(5)
    before = [config["lrate"] for config in configs]
    strategy.tell(configs, [0.123456789] * 5)
    strategy.print_ranking()
    assert [record["params"]["lrate"] for record in strategy.log] == before and strategy.log[0]["objective"] == 0.123456789
    assert "0.0" not in [word.strip(",") for word in capsys.readouterr().out.split()]


def test_h2_hyperband_maximizes():
    strategy = HyperbandSearch(*SPACE, search_config={"max_resource": 9, "eta": 3}, maximize_objective=True)
    first = strategy.ask()
    strategy.tell(first, list(range(9)), ["c"] * 9)
    assert [one["params"] for one in strategy.ask()] == [first[at]["params"] for at in (8, 7, 6)]


def test_h3_smbo_goes_by_names():
    space = {"x": {"begin": 0.0, "end": 1.0, "prior": "uniform"}, "opt/y": {"begin": 0.0, "end": 1.0, "prior": "uniform"}}
    strategy = SMBOSearch(space, search_config={"base_estimator": "GP", "acq_function": "EI", "n_initial_points": 5}, fixed_params={"a": 1, "opt": {"z": 2}})
    for _ in range(8):
        for config in strategy.ask(3):
            assert config["opt"]["z"] == 2
            # In another order than asked.
            told = {"opt": dict(reversed(list(config["opt"].items()))), "x": config["x"]}
            strategy.tell(told, (config["x"] - 0.9) ** 2 + (config["opt"]["y"] - 0.1) ** 2)
    _, best, value, _ = strategy.get_best()
    assert set(best) == {"x", "opt/y"} and value < 0.05 and best["x"] > 0.5 > best["opt/y"]


@pytest.mark.parametrize("kind", ["SMBO", "Nevergrad", "Random"])
def test_h4_whole_numbers_stay_in_the_space(kind):
    for seed in range(3):
        strategy = made(kind, seed_id=seed)
        for _ in range(4):
            assert all(type(config["batch_size"]) is int and 1 <= config["batch_size"] <= 5 for config in step(strategy))


def test_h4_smbo_begins_with_all_whole_numbers_alike():
    counts = np.zeros(5)
    for seed in range(200):
        config = {"base_estimator": "ET", "acq_function": "EI", "n_initial_points": 5}
        for point in SMBOSearch(REAL, WHOLE, seed_id=seed, search_config=config).ask(5):
            counts[point["batch_size"] - 1] += 1
    # Five standard deviations of a binomial of 1,000 draws with 0.2 are 63.
    assert abs(counts - 200).max() < 63


def test_h5_refining_changes_what_smbo_proposes():
    config = {"base_estimator": "GP", "acq_function": "EI", "n_initial_points": 5, "refine_after": 5, "refine_top_k": 2}
    strategy = SMBOSearch(*SPACE, search_config=config)
    step(strategy)
    assert all(0.368 <= one["lrate"] <= 0.396 and one["batch_size"] == 3 for one in step(strategy))


@pytest.mark.parametrize(
    "config, evals, iters",
    [
        ({"min_budget": 1, "num_arms": 243, "halving_coeff": 3}, [243, 81, 27, 9, 3, 1], [1, 3, 9, 27, 81, 243]),
        ({"min_budget": 1, "num_arms": 1000, "halving_coeff": 10}, [1000, 100, 10, 1], [1, 10, 100, 1000]),
        ({"min_budget": 1, "num_arms": 16, "halving_coeff": 2, "max_budget": 5}, [16, 8, 4, 2, 1], [1, 2, 4, 5, 5]),
        ({"min_budget": 2, "num_arms": 10, "halving_coeff": 1.5}, [10, 6, 4, 2, 1], [2, 3, 4.5, 6.75, 10.125]),
    ],
)
def test_h6_rungs_are_whole(config, evals, iters):
    strategy = HalvingSearch(*SPACE, search_config=config)
    assert strategy.evals_per_batch == evals and strategy.iters_per_batch == iters


@pytest.mark.parametrize("most, eta, budgets", [(243, 3, [1, 3, 9, 27, 81, 243]), (1000, 10, [1, 10, 100, 1000]), (729, 3, [1, 3, 9, 27, 81, 243, 729]), (1, 3, [1]), (16, 2, [1, 2, 4, 8, 16])])
def test_h6_hyperband_never_trains_longer_than_its_most(most, eta, budgets):
    strategy = HyperbandSearch(*SPACE, search_config={"max_resource": most, "eta": eta})
    assert strategy.sh_budgets == budgets
    if most > 100:
        return
    longest = 0
    while not strategy.completed:
        longest = max([longest, *(one["extra"]["sh_num_total_iters"] for one in step(strategy))])
    assert longest == most and strategy.hb_batch_counter == strategy.num_hb_batches


def test_h7_a_tournament_never_copies_the_worse_and_exploring_stays_in_the_space():
    exploit = Exploit({"strategy": "binary_tournament"}, generator=np.random.RandomState(1))
    for _ in range(200):
        performance = np.random.RandomState(2).uniform(size=6).tolist()
        assert all(performance[copied] <= performance[worker] for worker, copied in enumerate(exploit.copies(performance)))
    assert exploit.copies([1.0]) == [0] and get_truncation_ids([1.0], 0.2)[0] == []
    worst, best = get_truncation_ids([3.0, 1.0, 2.0, 4.0], 0.9)
    assert not set(worst) & set(best) and exploit.costs([float("nan"), 1.0])[0] == math.inf
    for config in ({"strategy": "perturbation", "perturb_coeffs": [0.1, 10]}, {"strategy": "additive-noise", "noise_scale": 10.0}, {"strategy": "resampling"}):
        explore = Explore(config, RandomSpace(*SPACE))
        assert all(explore.space.contains(explore({"lrate": 0.3, "batch_size": 3, "arch": "cnn"})) for _ in range(50))
    with pytest.raises(SpaceError, match="'gossip'"):
        Exploit({"strategy": "gossip"})


def test_h8_logs_keep_order_truth_and_extras():
    strategy = RandomSearch(REAL, None, {"flag": [True, False]})
    configs = strategy.ask(12)
    strategy.tell([{"params": config, "extra": {"note": at}} for at, config in enumerate(configs)], list(range(12)))
    strategy.save("search_log.yaml")
    records = load_log("search_log.yaml")
    assert [record["eval_id"] for record in records] == list(range(12))
    assert all(type(record["params"]["flag"]) is bool for record in records) and records[3]["extra"] == {"note": 3}
    assert len(load_search_log("search_log.yaml")) == 12
    save_log(records, "again.json")
    assert load_log("again.json") == records
    other = RandomSearch(REAL, None, {"flag": [True, False]}, reload_list=records)
    assert other.log == strategy.log


@pytest.mark.parametrize("maximize", [False, True])
def test_h9_nan_is_never_the_best(maximize):
    strategy = RandomSearch(*SPACE, maximize_objective=maximize)
    strategy.tell(strategy.ask(4), [1.0, float("nan"), 2.0, None])
    assert strategy.get_best()[0] == (2 if maximize else 0) and set(strategy.get_best(4)[0][2:]) == {1, 3}


def test_h10_wrong_spaces_are_named_and_values_keep_their_types():
    for broken, word in (
        ({"a": {"begin": 0.1, "end": 0.5, "prior": "cauchy"}, "b": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}, "'a'.*cauchy"),
        ({"a": {"begin": 1.0, "end": 0.5, "prior": "uniform"}}, "'a' begins"),
        ({"a": {"begin": "x", "end": 0.5, "prior": "uniform"}}, "begin 'x'"),
        ({"a": {"begin": 0.0, "end": 0.5, "prior": "log-uniform"}}, "above 0"),
        ({"a": {"begin": 0.0, "end": 0.5}}, "no 'prior'"),
    ):
        with pytest.raises(AssertionError, match=word):
            RandomSearch(broken)
    with pytest.raises(AssertionError, match="whole"):
        RandomSearch(None, {"n": {"begin": 1.5, "end": 3, "prior": "uniform"}})
    with pytest.raises(AssertionError, match="twice"):
        RandomSearch(REAL, None, {"lrate": [1]})
    mixed = {"v": [1, "b", True, None, (1, 2), 2.5]}
    found = {type(config["v"]) for config in RandomSearch({}, None, mixed).ask(6)}
    assert found == {int, str, bool, type(None), tuple, float}


def test_h11_a_rung_may_be_told_in_parts():
    strategy = HalvingSearch(*SPACE, search_config={"min_budget": 1, "num_arms": 6, "halving_coeff": 2})
    first = strategy.ask()
    strategy.tell(first[3:], [3.0, 0.0, 5.0], ["c3", "c4", "c5"])
    assert strategy.sh_counter == 0 and strategy.ask() == first[:3]
    strategy.tell(first[2], 1.0, "c2")
    strategy.tell(list(reversed(first[:2])), [9.0, 8.0], ["c1", "c0"])
    assert [one["params"] for one in strategy.ask()] == [first[at]["params"] for at in (4, 2, 3)]
    assert [one["extra"]["sh_ckpt"] for one in strategy.ask()] == ["c4", "c2", "c3"]
    continued = {tuple(record["params"].items()): record["extra"]["sh_continued"] for record in strategy.log}
    assert [continued[tuple(one["params"].items())] for one in first] == [False, False, True, True, True, False]
    with pytest.raises(ValueError, match="did not ask"):
        strategy.tell(first[0], 1.0, "c")


def test_h12_strategies_share_no_random_numbers():
    np.random.seed(7)
    before = np.random.get_state()[1].tolist()
    one, alone = RandomSearch(*SPACE, seed_id=1), RandomSearch(*SPACE, seed_id=1)
    RandomSearch(*SPACE, seed_id=2).ask(3)
    assert [one.ask() for _ in range(4)] == alone.ask(4) and np.random.get_state()[1].tolist() == before


def test_h13_nothing_left_is_an_empty_list():
    grid = GridSearch(None, {"n": {"begin": 1, "end": 3, "bins": 7}}, {"a": ["x", "y"]})
    assert grid.num_param_configs == 6
    grid.tell({"n": 3, "a": "x"}, 1.0)
    left = grid.ask(10)
    assert len(left) == 5 and {"a": "x", "n": 3} not in left
    grid.tell(left, [0.0] * 5)
    assert grid.ask(2) == []
    strategy = RandomSearch(None, {"n": {"begin": 1, "end": 3, "prior": "uniform"}}, LISTS)
    assert len(strategy.ask(10)) == 6 and strategy.ask(2) == []


def test_h14_nevergrad_maximizes_one_objective():
    pytest.importorskip("nevergrad")
    config = {"optimizer": "OnePlusOne", "budget_size": 60, "num_workers": 1}
    strategy = NevergradSearch(REAL, search_config=config, maximize_objective=True)
    for _ in range(40):
        proposal = strategy.ask()
        strategy.tell(proposal, -((proposal["lrate"] - 0.4) ** 2))
    assert abs(strategy.get_best()[1]["lrate"] - 0.4) < 0.05
    with pytest.raises(AssertionError, match="NGOpt"):
        NevergradSearch(REAL, search_config={**config, "optimizer": "NGOptt"})


def test_an_optimizer_of_nevergrad_that_fails_is_named_and_the_search_goes_on(monkeypatch):
    pytest.importorskip("nevergrad")
    strategy = NevergradSearch(*SPACE)

    def fails():
        raise TypeError("only 0-dimensional arrays")

    monkeypatch.setattr(strategy.engine.optimizer, "ask", fails)
    with pytest.warns(RuntimeWarning, match="only 0-dimensional arrays"):
        proposal = strategy.ask()
    assert strategy.space.contains(proposal)
    strategy.tell(proposal, 1.0)
    assert len(strategy) == 1


def test_h15_two_whole_numbers_are_refined():
    ranges = {"a": {"begin": 1, "end": 50, "prior": "uniform"}, "b": {"begin": 1, "end": 50, "prior": "log-uniform"}}
    strategy = RandomSearch(None, ranges)
    configs = strategy.ask(6)
    strategy.tell(configs, [config["a"] for config in configs])
    strategy.refine(3)
    assert strategy.space.integer["b"]["prior"] == "log-uniform" and strategy.space.integer["a"]["prior"] == "uniform"
    assert strategy.space.bounds["a"][2] == sorted(config["a"] for config in configs)[2]
    with pytest.raises(AssertionError, match="cannot be refined"):
        GridSearch(*GRID).refine(2)


def test_h17_halving_ends():
    strategy = HalvingSearch(*SPACE, search_config={"min_budget": 1, "num_arms": 1, "halving_coeff": 2})
    proposal = strategy.ask()
    strategy.tell(proposal, 1.0, "c")
    assert strategy.completed and strategy.log[0]["extra"]["sh_continued"] is False
    with pytest.raises(ValueError, match="complete"):
        strategy.ask()


def test_h18_coordinates_with_lists_and_defaults_off_the_grid():
    strategy = made("Coordinate")
    assert strategy.evals_per_coord == [2, 5, 5] and strategy.active_var == "arch"
    asked = []
    while True:
        proposal = strategy.ask()
        if proposal == []:
            break
        asked.append(proposal)
        strategy.tell(proposal, loss(proposal) + (proposal["arch"] == "mlp"))
    assert len(asked) == 2 + 5 + 4, "one of the last was evaluated before"
    assert strategy.defaults == {"arch": "cnn", "lrate": 0.2, "batch_size": 4}
    assert strategy.search_config["defaults"]["lrate"] == 0.33 and strategy.get_best()[1] == strategy.defaults
    with pytest.raises(AssertionError, match="order, defaults"):
        CoordinateSearch(*GRID)
    with pytest.raises(AssertionError, match="'lr'"):
        CoordinateSearch(*GRID, search_config={"order": ["lr"], "defaults": {}})


@pytest.mark.parametrize("kind", ["SMBO", "Nevergrad", "Halving", "Hyperband", "PBT"])
def test_h19_the_decorator_takes_every_strategy_with_its_default_config(kind):
    if kind == "Nevergrad":
        pytest.importorskip("nevergrad")

    @hyperopt(strategy_type=kind, num_search_iters=3, real=REAL, integer=WHOLE, categorical=LISTS)
    def train(config):
        return (loss(config), "ckpt") if "extra" in config else loss(config)

    strategy = train()
    count = len(strategy)
    assert count >= 3 and len(train()) > count and ("ckpt" in strategy.log[0]) == strategy.iterative


def test_h21_none_and_nan_are_stored(folder):
    write_configs([{"a": None, "b": float("nan"), "c": np.float32(0.5), "d": np.bool_(True), "e": (1, 2)}], ["c.yaml"])
    found = load_yaml("c.yaml")
    assert found["a"] is None and math.isnan(found["b"]) and (found["c"], found["d"], found["e"]) == (0.5, True, [1, 2])
    with pytest.raises(ValueError, match="end in"):
        write_configs([{}], ["c.txt"])


def test_h22_repeats_are_logged(capsys):
    strategy = RandomSearch(*SPACE, verbose=True)
    proposal = strategy.ask()
    strategy.tell(proposal, 1.0)
    strategy.tell([proposal, proposal], [2.0, 3.0])
    assert [record["objective"] for record in strategy.log] == [1.0, 2.0, 3.0]
    strategy.tell([], [])
    assert len(strategy) == 3


def test_h23_names_and_what_is_fixed_inside_batches():
    space = {"opt/lr": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}
    strategy = HalvingSearch(space, search_config={"min_budget": 1, "num_arms": 4, "halving_coeff": 2}, fixed_params={"opt": {"name": "sgd"}})
    proposals = strategy.ask()
    assert all(set(one) == {"params", "extra"} and set(one["params"]["opt"]) == {"name", "lr"} for one in proposals)
    strategy.tell(proposals, [1.0] * 4, ["c"] * 4)
    assert set(strategy.log[0]["params"]) == {"opt/lr"} and len(strategy.ask()) == 2


def test_h24_wrong_calls_are_named():
    strategy = RandomSearch(*SPACE)
    with pytest.raises(AssertionError, match="2 proposals.*1 values"):
        strategy.tell(strategy.ask(2), [1.0])
    with pytest.raises(AssertionError, match="0 evaluations"):
        strategy.get_best()
    with pytest.raises(AssertionError, match="checkpoint"):
        halving = made("Halving")
        halving.tell(halving.ask(), [1.0] * 8)
    assert strategy.improvement(1.0)


def test_h25_many_tells_cost_little():
    strategy = RandomSearch(*SPACE)
    for at in range(2000):
        strategy.tell({"lrate": 0.1 + at * 1e-4, "batch_size": 1 + at % 5, "arch": "mlp"}, float(at))
    assert len(strategy) == 2000 and strategy.was_evaluated({"arch": "mlp", "batch_size": 1, "lrate": 0.1})


def test_h27_callers_dicts_and_defaults_stay():
    space, lists = {"lrate": {"begin": 0, "end": 1, "prior": "uniform"}}, {"only": "one"}
    strategy = SMBOSearch(space, None, lists)
    strategy.search_config["n_initial_points"] = 1
    assert SMBOSearch.default_config["n_initial_points"] == 5 and SMBOSearch(space).search_config["n_initial_points"] == 5
    assert space == {"lrate": {"begin": 0, "end": 1, "prior": "uniform"}} and lists == {"only": "one"}
    assert strategy.space.categorical == {"only": ["one"]}


def test_h28_log_uniform_whole_numbers_reach_their_end():
    space = RandomSpace(None, {"n": {"begin": 1, "end": 4, "prior": "log-uniform"}}, seed=1)
    assert {space.sample()["n"] for _ in range(300)} == {1, 2, 3, 4}


def test_h30_everything_can_be_imported_with_a_star():
    scope = {}
    exec("from mle_hyperopt.strategies import *\nfrom mle_hyperopt.spaces import *\nfrom mle_hyperopt import *", scope)
    assert scope["Strategies"]["PBT"] is PBTSearch and scope["GridSpace"] is GridSpace


def test_a_pickle_of_another_strategy_is_refused():
    RandomSearch(*SPACE).save("one.pkl")
    with pytest.raises(ValueError, match="RandomSearch, not a GridSearch"):
        GridSearch(*GRID, reload_path="one.pkl")
    strategy = pickle.loads(pickle.dumps(made("SMBO")))
    assert len(strategy.ask(3)) == 3
    with pytest.raises(ValueError, match="saved as"):
        strategy.save("one.txt")
