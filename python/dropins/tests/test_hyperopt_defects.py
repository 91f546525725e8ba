"""mle_hyperopt: the defects that are no more."""

import math
import pickle

import numpy as np
import pytest

from mle_hyperopt import (
    CoordinateSearch,
    GridSearch,
    HalvingSearch,
    HyperbandSearch,
    NevergradSearch,
    PBTSearch,
    RandomSearch,
    SMBOSearch,
    hyperopt,
)
from mle_hyperopt.space import SpaceError
from mle_hyperopt.spaces import GridSpace, RandomSpace
from mle_hyperopt.strategies.pbt import Exploit, Explore, get_truncation_ids
from mle_hyperopt.utils import (
    load_log,
    load_search_log,
    load_yaml,
    save_log,
    write_configs,
)
from searches import REAL, WHOLE, LISTS, SPACE, GRID, folder, loss, made, step  # noqa: F401: a fixture


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
    assert exploit.copies([1.0]) == [0] and get_truncation_ids([1.0], 0.2)[1] == []
    best, worst = get_truncation_ids([3.0, 1.0, 2.0, 4.0], 0.9)
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
    found = load_yaml("c.yaml", False)
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
