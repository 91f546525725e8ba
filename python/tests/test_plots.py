"""Figures show what is in the file."""

import pytest

import mle

pytest.importorskip("matplotlib")


def test_curves_have_a_line_a_config_and_a_band_over_seeds():
    for at, lr in enumerate([0.1, 0.1, 0.2]):
        with mle.Logger("lab.db", name="sweep", config={"lr": lr, "same": 1}, seed=at,
                        experiment="sweep" if at else None) as log:  # fmt: skip
            for step in range(4):
                log.log({"loss": lr * step + at}, step=step)
    db = mle.open("lab.db")
    ax = db.plot("loss", "sweep", band="range")
    assert [line.get_label() for line in ax.get_lines()] == ["lr=0.1 (2)", "lr=0.2"]
    assert ax.get_lines()[0].get_ydata().tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert len(ax.collections) == 1 and ax.get_ylabel() == "loss"
    again = db.plot("loss", run=1, ax=ax)
    assert again is ax and len(ax.get_lines()) == 3
    with pytest.raises(mle.NotFoundError, match="'acc'"):
        db.plot("acc")
    with pytest.raises(mle.InvalidError, match="bands are"):
        db.plot("loss", band="wide")


def test_a_search_has_a_history_and_a_front():
    study = mle.Study("one", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=8)
    with pytest.raises(mle.NotFoundError):
        study.plot()
    study.optimize(lambda params: params["x"])
    trials, best = study.plot().get_lines()
    assert len(trials.get_ydata()) == 8 and best.get_ydata()[-1] == study.best["value"]
    with pytest.raises(mle.InvalidError, match="one objective"):
        study.plot_front()
    two = mle.Study("two", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", objective=["a", "b"], trials=8)
    two.optimize(lambda params: [params["x"], 1 - params["x"]])
    assert len(two.plot_front().get_lines()[1].get_xdata()) == len(two.pareto())
