"""What notebooks show: it is there, it is escaped, and it needs no network."""

import html.parser
import json
import os
import re

import pytest

import mle
from mle._chart import Chart, ticks

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&\u2028'


class Checker(html.parser.HTMLParser):
    """Collects tags and attributes; knows when the tags do not close."""

    void = {"img", "meta", "br", "line", "rect", "circle"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.stack, self.attributes, self.said = [], [], [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.void:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, text):
        self.said.append(text)


def check(text, scripts):
    found = Checker(text)
    assert found.tags.count("script") == scripts and "img" not in found.tags
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name not in ("href", "src"), "nothing is loaded"
    return "".join(found.said)


@pytest.fixture
def log():
    log = mle.Logger("lab.db", name=EVIL, config={EVIL: EVIL, "lr": 0.1}, objective="loss", purpose=EVIL)
    for step in range(50):
        log.log({"loss": 1 / (1 + step), EVIL.replace("\u2028", ""): step}, step=step)
    log.text("note", EVIL)
    log.flush()
    return log


def test_runs_leaderboards_and_files_are_shown(log):
    assert "running" in check(log._repr_html_(), 0)
    log.close()
    assert "complete" in check(log._repr_html_(), 0)
    db = log.db
    shown = check(db._repr_html_(), 0)
    assert "lab.db" in shown and "alert(1)" in shown
    for frame in (db.runs(), db.leaderboard(), db.experiments(), db.summary(), db.metrics(), db.artifacts(), db.jobs()):
        check(frame._repr_html_(), 0)
    assert "of 100 rows" in check(db.metrics(run=1)._repr_html_(), 0)
    assert "onerror" in check(db.runs()._repr_html_(), 0)
    check(db.protocol()._repr_html_(), 0)
    check(mle.Resource()._repr_html_(), 0)


def test_studies_trials_and_experiments_are_shown():
    study = mle.Study(EVIL, {"x": mle.real(0, 1), "c": mle.choice([EVIL, "b"])}, db="lab.db", strategy="random", trials=6)
    check(study._repr_html_(), 0)
    study.optimize(lambda params: params["x"], n=5)
    assert "5 of 6" in check(study._repr_html_(), 1)
    trial = study.ask()
    assert str(trial.params["x"])[:6] in check(trial._repr_html_(), 0)
    study.tell(trial, 0.5)
    check(study.trials()._repr_html_(), 0)
    strategy = mle.Strategy("random", {"x": mle.real(0, 1)})
    check(strategy._repr_html_(), 0)
    experiment = mle.Experiment({"name": EVIL, "command": "true"}, db="lab.db")
    assert "not started" in check(experiment._repr_html_(), 0)
    spec = {"name": "one", "purpose": EVIL, "command": ["sh", "-c", "mle log loss={x}"], "metric": "loss"}
    spec["search"] = {"strategy": "grid", "space": {"x": [1, 2]}}
    done = mle.Experiment(spec, db="lab.db").run()
    shown = check(done._repr_html_(), 0)
    assert "complete" in shown and "2 of 2" in shown
    check(mle.Queue("lab.db")._repr_html_(), 0)


def data_of(text):
    return json.loads(re.search(r"var data=(\{.*?\});\n", text, re.S).group(1))


def test_a_chart_has_its_data_and_a_picture_without_scripts():
    for seed in range(4):
        options = {"experiment": "e"} if seed else {"name": "e"}
        with mle.Logger("lab.db", config={"lr": seed // 2, EVIL: 1}, seed=seed, **options) as log:
            for step in range(3000):
                log.log({"loss": 100.0 if step == 1234 else seed + step, "one": 1.0}, step=step)
    db = mle.open("lab.db")
    chart = db.chart("loss", "e", band="range")
    text = chart._repr_html_()
    check(text, 1)
    lines = data_of(text)["lines"]
    assert [line["name"] for line in lines] == ["lr=0 (2)", "lr=1 (2)"] and all(line["band"] for line in lines)
    assert all(len(line["points"]) <= 1002 for line in lines)
    assert [1234, 100.0, 100.0, 100.0] in lines[0]["points"], "thinning keeps what stands out"
    assert chart.svg().count("<polyline") == 2 and chart.svg().count("<polygon") == 2
    two = db.chart(["loss", "one"], run=1)
    assert [line["name"] for line in data_of(two.html())["lines"]] == ["loss, config 1", "one, config 1"]
    with pytest.raises(mle.NotFoundError, match="'acc'"):
        db.chart("acc")
    with pytest.raises(mle.InvalidError, match="bands are"):
        db.chart("loss", band="wide")
    chart.save("x.svg")
    chart.save("x.html")
    for name in ("x.png", "x.pdf", "x"):
        with pytest.raises(mle.InvalidError, match="savefig"):
            chart.save(name)
        assert not os.path.exists(name)
    assert os.path.getsize("x.svg") > 1000
    with open("x.html", encoding="utf-8") as file:
        check(file.read().replace("<!doctype html>", ""), 1)
    with mle.Logger(db) as log:
        kept = log.figure("loss", chart)
    assert db.artifact(kept).startswith(b"<div")


def test_names_in_charts_are_escaped():
    chart = Chart(EVIL, EVIL, EVIL).line(EVIL, [0, 1], [1.0, 2.0], dots=True, notes=[EVIL, EVIL])
    chart.line("other", [0, 1, 2], [float("nan"), float("inf"), 3.0])
    check(chart.html(), 1)
    lines = data_of(chart.html())["lines"]
    assert lines[0]["name"] == EVIL and lines[0]["points"][0][2] == EVIL
    assert lines[1]["points"] == [[2, 3.0]], "what is no number has no place"
    check(Chart("empty").html(), 1)


def test_studies_have_interactive_figures():
    study = mle.Study("s", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=5)
    with pytest.raises(mle.NotFoundError):
        study.chart()
    study.optimize(lambda params: params["x"])
    trial, best = data_of(study.chart().html())["lines"]
    assert len(trial["points"]) == 5 and trial["points"][0][2].startswith("x=")
    assert best["points"][-1][1] == study.best["value"]
    two = mle.Study("t", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", objective=["a", "b"], trials=5)
    two.optimize(lambda params: [params["x"], 1 - params["x"]])
    assert len(data_of(two.chart_front().html())["lines"][1]["points"]) == len(two.pareto())
    with pytest.raises(mle.InvalidError, match="one objective"):
        study.chart_front()


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-3e-9, 4e-9), (1e15, 3e15), (0.1, 0.10001)])
def test_ticks_are_within_their_ends(ends):
    found = ticks(*ends)
    room = (ends[1] - ends[0]) * 1e-6
    assert 3 <= len(found) <= 14 and ends[0] - room <= found[0] < found[-1] <= ends[1] + room
    assert len(set(found)) == len(found)


def test_a_copy_is_a_file_of_its_own(log):
    log.close()
    copied = log.db.copy("copy.db")
    assert copied.metrics(metric="loss")["value"] == log.db.metrics(metric="loss")["value"]
    with mle.Logger("copy.db") as more:
        more.log({"x": 1.0})
    assert len(copied.runs()) == 2 and len(log.db.runs()) == 1
    with pytest.raises(mle.InvalidError, match="there already"):
        log.db.copy("copy.db")
