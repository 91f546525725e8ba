"""A file: what is asked of it, and how answers come."""

import os
import subprocess
import sys

import pytest

import mle


@pytest.fixture
def db():
    for seed in range(3):
        with mle.Logger("lab.db", name="demo", config={"lr": 0.1}, seed=seed, objective="loss",
                        experiment="demo" if seed else None) as log:  # fmt: skip
            for step in range(5):
                log.log({"loss": step + seed, "acc": 1.0 / (1 + step)}, step=step)
    return mle.open("lab.db")


def test_a_long_series_is_the_one_that_was_logged():
    numpy = pytest.importorskip("numpy")
    with mle.Logger("lab.db") as log:
        for step in range(250_000):
            log.log({"x": step * 0.5}, 3 * step)
            if step % 100 == 0:
                log.log({"rare": step * 1.0}, 3 * step + 1)
    steps, values = log.db.series(log.run_id, "x")
    assert len(steps) == 250_000 and (steps == numpy.arange(250_000) * 3).all() and (values == numpy.arange(250_000) * 0.5).all()
    assert len(log.db.series(log.run_id, "rare")[0]) == 2_500


def test_sql_answers_and_changes_nothing(db):
    assert db.sql("SELECT count(*) FROM runs WHERE seed > ?", [0]).one() == 2
    assert db.sql("SELECT :a AS a, :b AS b", {"a": 1, ":b": "x"}).rows() == [{"a": 1, "b": "x"}]
    for statement in ["DELETE FROM run", "PRAGMA journal_mode = DELETE", "ATTACH 'x.db' AS y", "BEGIN", "WITH a AS (SELECT 1) DELETE FROM run"]:
        with pytest.raises(mle.Error):
            db.sql(statement)
    with pytest.raises(mle.SqlError, match="no such table"):
        db.sql("SELECT * FROM nowhere")
    with pytest.raises(TypeError):
        db.sql("SELECT ?", [object()])
    with pytest.raises(ValueError, match="one value"):
        db.sql("SELECT 1, 2").one()


def test_columns_are_as_narrow_as_their_values(db):
    frame = db.sql(
        "SELECT column1 AS i, column2 AS f, column3 AS mixed, column4 AS n, column5 AS t, column6 AS late"
        " FROM (VALUES (1, 1.5, 1, NULL, 'a', NULL), (2, NULL, 2.5, NULL, NULL, 3), (3, 2, NULL, NULL, x'00', 4.5))"
    )
    assert [column.kind for column in frame._columns.values()] == ["i", "f", "f", "o", "o", "f"]
    assert frame["i"] == [1, 2, 3] and frame["f"] == [1.5, None, 2.0] and frame["mixed"] == [1.0, 2.5, None]
    assert frame["n"] == [None] * 3 and frame["t"] == ["a", None, b"\0"] and frame["late"] == [None, 3.0, 4.5]
    assert len(db.sql("SELECT id FROM runs WHERE 0")) == 0


def test_metrics_of_runs_and_experiments(db):
    frame = db.metrics(experiment="demo", metric="loss")
    assert frame.columns == ("run_id", "metric", "step", "value") and len(frame) == 15
    assert frame["run_id"] == [1] * 5 + [2] * 5 + [3] * 5
    assert set(db.metrics(run=[1, 2])["metric"]) == {"loss", "acc"}
    assert len(db.metrics(run=99)) == 0
    assert "elapsed_s" in db.metrics(run=1, times=True)
    over = db.over_seeds(experiment="demo", metric="loss")["loss"]
    assert over["mean"] == [1.0, 2.0, 3.0, 4.0, 5.0] and over["n"] == [3] * 5 and over["p90"][0] == pytest.approx(1.8)
    with pytest.raises(mle.NotFoundError):
        db.metrics(experiment="other")


def test_frames_go_to_numpy_pandas_polars_and_arrow(db):
    frame = db.metrics(run=1)
    numpy = pytest.importorskip("numpy")
    value = frame.numpy("value")
    assert value.dtype == numpy.float64 and frame.numpy()["step"].dtype == numpy.int64
    value[0] = -1.0
    assert frame.numpy("value")[0] == -1.0, "the memory is shared"
    steps, losses = db.series(1, "loss")
    assert steps.tolist() == [0, 1, 2, 3, 4] and losses.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    with pytest.raises(mle.NotFoundError, match="no metric 'los'"):
        db.series(1, "los")
    nulls = db.sql("SELECT column1 AS f, column2 AS i FROM (VALUES (1.5, 1), (NULL, NULL), (2.5, 3))")
    assert numpy.isnan(nulls.numpy("f")[1])
    pandas = pytest.importorskip("pandas")
    assert nulls.pandas()["i"].dtype == "Int64" and pandas.isna(nulls.pandas()["i"][1])
    assert frame.pandas().groupby("metric").value.count().to_dict() == {"acc": 5, "loss": 5}
    assert db.runs().pandas()["params"][0] == {"lr": 0.1}


def test_frames_go_to_arrow(db):
    pyarrow = pytest.importorskip("pyarrow")
    nulls = db.sql("SELECT column1 AS f, column2 AS i FROM (VALUES (1.5, 1), (NULL, NULL), (2.5, 3))")
    table = nulls.arrow()
    assert table.column("f").to_pylist() == [1.5, None, 2.5] and table.column("i").to_pylist() == [1, None, 3]
    assert pyarrow.table(db.metrics(run=1)).num_rows == 10
    assert db.runs().arrow().column("params").to_pylist()[0] == '{"lr": 0.1}'


def test_frames_go_to_polars(db):
    pytest.importorskip("polars")
    assert db.metrics(run=1).polars().height == 10
    assert db.runs().polars()["seed"].to_list() == [0, 1, 2]


def test_what_is_looked_at_is_escaped(db):
    with mle.Logger("lab.db", name="<script>alert(1)</script>") as log:
        log.log({"<b>": 1})
    assert "<script>" not in db._repr_html_() and "&lt;script&gt;" in db._repr_html_()
    assert "<b>" not in db.summary(run=4)._repr_html_()
    assert "<script>" not in db.protocol()._repr_html_()
    terminal = mle.Frame({"x": ["\x1b[2Jgone"]})
    assert "\x1b" not in repr(terminal)


def test_an_experiment_has_a_report(db):
    assert db.report("demo").startswith("# ") and "loss" in db.report("demo")
    assert "<html" in db.report("demo", "html")
    with pytest.raises(mle.InvalidError, match="format"):
        db.report("demo", "pdf")


def test_files_that_are_not_ours_are_left_alone():
    with open("other.txt", "w") as file:
        file.write("hello")
    with pytest.raises(mle.WrongFileError):
        mle.open("other.txt")
    with pytest.raises(mle.NotFoundError):
        mle.open("missing.db", create=False)
    with pytest.raises(mle.NotFoundError):
        mle.open("missing.db", read_only=True)
    assert sorted(os.listdir()) == ["other.txt"]


def test_a_file_opened_to_be_read_is_not_written(db):
    reader = mle.open("lab.db", read_only=True)
    assert len(reader.runs()) == 3
    with pytest.raises(mle.InvalidError, match="read only"):
        reader.protocol().add("x")


def test_documents_are_kept_and_replaced(db):
    db.put_document("demo", "state", {"a": [1, None, True], "b": {"c": "é"}})
    db.put_document("demo", "state", {"a": [2]})
    assert db.document("demo", "state") == {"a": [2]}
    assert db.document("demo", "none", default=5) == 5
    assert len(db.artifacts(experiment="demo")) == 1
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested"):
        db.put_document("demo", "loop", loop)
    with pytest.raises(TypeError, match="a: b: a value of type object"):
        db.put_document("demo", "odd", {"a": {"b": object()}})


def test_importing_loads_nothing_heavy():
    text = "import sys, mle; print(*[m for m in ('numpy','pandas','json','subprocess','typing','matplotlib','sqlite3') if m in sys.modules])"
    bare = "import sys; print(*[m for m in ('numpy','pandas','json','subprocess','typing','matplotlib','sqlite3') if m in sys.modules])"
    ask = lambda code: subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: E731
    assert ask(text) == ask(bare)


def test_we_never_open_the_file_by_pythons_own_sqlite():
    import pathlib

    for path in pathlib.Path(mle.__file__).parent.glob("*.py"):
        assert "import sqlite3" not in path.read_text(), path
