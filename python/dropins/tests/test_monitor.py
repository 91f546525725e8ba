"""mle_monitor: the protocol, the machine, the dashboard. Mended defects of the original have tests of their own names."""

import json
import os
import subprocess
import sys

import pytest

import mle
from mle_monitor import MLEDashboard, MLEProtocol, MLEResource

META = {
    "purpose": "a test",
    "project_name": "mine",
    "exec_resource": "local",
    "experiment_dir": "log_dir",
    "experiment_type": "hyperparameter-search",
    "base_fname": "main.py",
    "config_fname": "base.json",
    "num_seeds": 5,
    "num_total_jobs": 10,
    "num_job_batches": 2,
    "num_jobs_per_batch": 5,
    "time_per_job": "00:05:00",
    "num_cpus": 2,
    "num_gpus": 1,
}
#: As mle-monitor leaves it: ids 1 and 3, the latter aborted.
PEER = {
    "summary": {"time": [], "total_exp": {}, "day": [], "day_exp": {}},
    "1": {**META, "job_status": "completed", "start_time": "01/02/21 10:00", "duration": "0:10:00", "stored_in_gcloud": True,
          "retrieved_results": False, "report_generated": True, "completed_jobs": 10, "e-hash": "abc", "git_hash": "no-git-repo",
          "loaded_config": [{"lr": 0.1}], "stop_time": "01/02/21 10:10", "stored_in_cloud": False},
    "3": {**META, "purpose": "gone", "job_status": "aborted", "start_time": "01/03/21 10:00", "duration": "0:10:00",
          "completed_jobs": 1, "stop_time": "01/03/21 10:10"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name not in ("MLE_PROGRAMS",):
            monkeypatch.delenv(name)
    (tmp_path / "base.json").write_text('{"lr": 0.1}')
    return tmp_path


@pytest.fixture
def protocol(lab):
    return MLEProtocol("protocol.db")


def test_what_was_added_is_there(protocol):
    added = protocol.add(META, {"note": [1, 2]}, save=False)
    assert isinstance(added, int)
    said = protocol.get(added)
    assert {key: said[key] for key in protocol.standard_keys} == META
    assert (said["note"], said["loaded_config"], said["completed_jobs"], said["job_status"]) == ([1, 2], [{"lr": 0.1}], 0, "running")
    assert said["duration"] == "0:10:00" and len(said["e-hash"]) == 32
    assert protocol.get() == said and protocol.last_experiment_id == added and len(protocol) == 1
    assert protocol.get(99) is False
    with pytest.raises(KeyError):
        protocol.get(added, "nothing")
    # Another program sees it at once.
    assert MLEProtocol("protocol.db").get(added) == said


def test_what_was_updated(protocol):
    added = protocol.add(META, save=False)
    protocol.update(added, "exec_resource", "slurm-cluster", save=False)
    assert protocol.get(added, "exec_resource") == "slurm-cluster"
    protocol.update(added, ["num_seeds", "extra"], [7, None])
    assert (protocol.get(added, "num_seeds"), protocol.get(added, "extra")) == (7, None)
    with pytest.raises(ValueError, match="2 names and 1 values"):
        protocol.update(added, ["a", "b"], [1])


def test_how_it_ends(protocol, caplog):
    first, second, third = (protocol.add(META) for _ in range(3))
    assert protocol.status(first) == "running"
    protocol.abort(first, save=False)
    assert protocol.status(first) == "aborted"
    protocol.complete(second)
    said = protocol.get(second)
    assert (said["job_status"], said["completed_jobs"]) == ("completed", 10) and said["duration"].startswith("0:00:")
    # M-14: what was aborted is not completed afterwards.
    protocol.complete(first)
    assert protocol.status(first) == "aborted" and "was aborted" in caplog.text
    protocol.update(third, "job_status", "failed")
    assert protocol.status(third) == "failed"
    # By hand it can be set to anything.
    protocol.update(third, "job_status", "completed")
    assert protocol.status(third) == "completed"
    assert mle.Protocol("protocol.db").list()["state"][1:] == ["complete", "cancelled"]


def test_abort_stops_jobs_of_the_same_file(lab, protocol):
    added = protocol.add(META)
    queue = mle.Queue("protocol.db", added)
    (job,) = queue.add([["sleep", "100"]])
    protocol.abort(added)
    assert queue.results()["state"] == ["cancelled"] and job


def test_m1_the_default_type_is_one(protocol):
    assert protocol.get(protocol.add({}), "experiment_type") == "single-config"
    assert protocol.get(protocol.add({"experiment_type": "single"}), "experiment_type") == "single-config"
    with pytest.raises(ValueError, match="'other'"):
        protocol.add({"experiment_type": "other"})


def test_the_given_dict_is_not_changed(protocol):
    given = {"purpose": "x"}
    protocol.add(given)
    assert given == {"purpose": "x"}


def test_m2_progress_is_counted_for_an_id(protocol):
    added = protocol.add(META)
    other = protocol.add(META)
    for _ in range(3):
        protocol.update_progress_bar(added)
    protocol.update_progress_bar()
    assert (protocol.get(added, "completed_jobs"), protocol.get(other, "completed_jobs")) == (3, 1)
    assert protocol.completed_jobs_counter == 1
    protocol.update(added, "completed_jobs", 2)
    protocol.update_progress_bar(added)
    assert protocol.get(added, "completed_jobs") == 3


def test_m3_several_configs_and_none(lab, protocol):
    (lab / "other.yaml").write_text("lr: 1e-2\n")
    added = protocol.add({**META, "config_fname": ["base.json", "other.yaml"]})
    assert protocol.get(added, "loaded_config") == [{"lr": 0.1}, {"lr": 0.01}]
    with pytest.raises(FileNotFoundError, match="missing.yaml"):
        protocol.add({**META, "config_fname": "missing.yaml"})
    assert len(protocol) == 1


def test_m4_a_deleted_one_is_gone_and_its_id_is_not_used_again(protocol):
    ids = [protocol.add(META) for _ in range(3)]
    protocol.delete(ids[2])
    assert protocol.experiment_ids == ["1", "2"] and protocol.last_experiment_id == 2
    pytest.importorskip("pandas")
    assert list(protocol.summary(verbose=False)["ID"]) == ["1", "2"]
    assert protocol.add(META) == 4
    with pytest.raises(KeyError):
        protocol.delete(ids[2])


def test_m5_no_cloud_is_said_before_anything_is_done(lab, protocol):
    protocol.add(META)
    settings = {"project_name": "p", "bucket_name": "b", "use_protocol_sync": True, "use_results_storage": False}
    with pytest.raises(NotImplementedError, match="use_protocol_sync"):
        MLEProtocol("protocol.db", cloud_settings=settings)
    settings.update(use_protocol_sync=False)
    assert len(MLEProtocol("protocol.db", cloud_settings=settings)) == 1
    for refused in (protocol.gcs_pull, protocol.gcs_send, lambda: protocol.retrieve(1)):
        with pytest.raises(NotImplementedError):
            refused()


def test_m6_several_programs_write_at_once(lab):
    text = (
        "from mle_monitor import MLEProtocol\n"
        "p = MLEProtocol('protocol.db')\n"
        "mine = [p.add({'purpose': 'x'}) for _ in range(10)]\n"
        "for _ in range(10): p.update_progress_bar(1)\n"
        "p.complete(mine[-1])\n"
    )
    MLEProtocol("protocol.db").add({})
    programs = [subprocess.Popen([sys.executable, "-c", text]) for _ in range(4)]
    assert [program.wait() for program in programs] == [0, 0, 0, 0]
    protocol = MLEProtocol("protocol.db")
    assert len(protocol) == 41 and protocol.get(1, "completed_jobs") == 40


def test_m7_an_empty_file_is_a_new_one_and_a_damaged_one_is_left_alone(lab):
    (lab / "empty.db").write_text("")
    assert len(MLEProtocol("empty.db")) == 0
    (lab / "damaged.db").write_text('{"1": {"purp')
    with pytest.raises(mle.WrongFileError, match="damaged"):
        MLEProtocol("damaged.db")
    assert (lab / "damaged.db").read_text() == '{"1": {"purp'


def test_m8_both_names_of_what_is_stored(protocol):
    added = protocol.add(META)
    protocol.update(added, "stored_in_gcloud", True)
    assert protocol.get(added, "stored_in_cloud") and protocol.monitor()["total_data"]["gcs_stored"] == "1"


def test_m15_one_config_twice_has_two_hashes(protocol):
    hashes = {protocol.get(protocol.add(META), "e-hash") for _ in range(5)}
    assert len(hashes) == 5


def test_a_protocol_of_the_peer_is_taken_over(lab):
    (lab / "old.db").write_text(json.dumps(PEER))
    protocol = MLEProtocol("old.db")
    assert protocol.experiment_ids == ["1", "3"] and protocol.last_experiment_id == 3
    first = protocol.get(1)
    assert {key: first[key] for key in META} == META
    assert (first["job_status"], first["duration"], first["e-hash"]) == ("completed", "0:10:00", "abc")
    assert first["stored_in_cloud"] and first["stored_in_gcloud"]
    assert protocol.status("3") == "aborted"
    assert protocol.add(META) == 4
    # The document stays, as it was.
    assert json.loads((lab / "old.db.json").read_text()) == PEER
    assert len(MLEProtocol("old.db")) == 3
    assert sorted(path.name for path in lab.glob("old.db*") if not path.name.endswith(("-wal", "-shm"))) == ["old.db", "old.db.json"]


def test_summary(protocol, capsys):
    pandas = pytest.importorskip("pandas")
    assert protocol.summary() is None and "no experiment" in capsys.readouterr().out
    for at in range(7):
        protocol.add({**META, "purpose": f"purpose {at} " + 40 * "x"})
    frame = protocol.summary(tail=3, verbose=False)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [
        "ID", "Date", "Project", "Purpose", "Experiment Dir", "Status", "Seeds", "Resource", "CPUs", "GPUs", "Type", "Jobs",
        "Completed Jobs",
    ]  # fmt: skip
    assert list(frame["ID"]) == ["5", "6", "7"] and len(frame["Purpose"][0]) == 30
    assert len(protocol.summary(tail=None, verbose=False)) == 7
    protocol.summary(tail=2, full=True)
    said = capsys.readouterr().out
    assert "purpose 6" in said and "0/10" in said and "purpose 4" not in said
    assert protocol.summary(verbose=False, return_table=True) is not None


def test_monitor(protocol):
    totals = ["total", "run", "done", "aborted", "sge", "slurm", "gcp", "local", "report_gen", "gcs_stored", "retrieved"]
    last = ["e_id", "job_status", "e_dir", "e_type", "e_script", "e_config", "report_gen", "resource"]
    times = [
        "num_seeds", "total_jobs", "completed_jobs", "total_batches", "jobs_per_batch", "time_per_batch", "start_time",
        "stop_time", "duration", "job_status",
    ]  # fmt: skip
    for full in (False, True):
        if full:
            protocol.abort(protocol.add(META))
            protocol.add({**META, "exec_resource": "sge-cluster"})
        said = protocol.monitor()
        assert list(said["total_data"]) == totals and list(said["last_data"]) == last and list(said["time_data"]) == times
    counts = said["total_data"]
    assert (counts["total"], counts["run"], counts["aborted"], counts["sge"], counts["local"]) == ("2", "1", "1", "1", "1")
    # M-9: the days' sum grows as well.
    assert said["summary_data"]["day_exp"]["all"] == [2] and said["summary_data"]["total_exp"]["all"] == [1, 2]


def test_an_experiment_of_the_file_that_was_not_added_here_is_shown(protocol):
    with mle.Logger("protocol.db", name="by hand", purpose="why") as log:
        log.log({"x": 1})
    said = protocol.get()
    assert (said["purpose"], said["job_status"], said["num_total_jobs"]) == ("why", "completed", 1)
    assert protocol.monitor()["last_data"]["job_status"] == "completed"


def test_the_terminal_is_not_waited_for_where_there_is_none(protocol, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    assert protocol.ask_for_e_id() is None and protocol.ask_for_purpose() == "default"


def test_the_home_folder(lab, monkeypatch):
    monkeypatch.setenv("HOME", str(lab))
    MLEProtocol("~/p.db").add(META)
    assert (lab / "p.db").exists()


def test_the_machine():
    said = MLEResource(resource_name="local").monitor()
    assert sorted(said) == ["host_data", "resource_name", "user_data", "util_data"]
    users, host, util = said["user_data"], said["host_data"], said["util_data"]
    assert len(users["pid"]) == len(users["cmdline"]) == len(users["cpu_util"]) and 1 <= len(users["pid"]) <= 12
    assert host["cpu_count"] == len(host["percent_util"]) == util["cores"]
    assert all(0 <= percent <= 100 for percent in host["percent_util"])
    assert 0 < util["mem_util"] <= util["mem"]
    # M-13: memory is what a process has, not what it could have.
    assert max(users["mem_util"]) / 1000 < util["mem"] * 1.1
    with pytest.raises(AssertionError, match="moon"):
        MLEResource("moon")


def test_m12_what_cannot_be_looked_at_says_so(monkeypatch):
    with pytest.raises(NotImplementedError, match="gcp-cloud"):
        MLEResource("gcp-cloud").monitor()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(mle.NotFoundError, match="squeue"):
        MLEResource("slurm-cluster", {"partitions": ["p"]}).monitor()


def test_slurm(lab, monkeypatch):
    (lab / "bin").mkdir()
    for name, lines in {
        "squeue": "p|ann|R|n1\np|ann|PD|\nq|bob|R|n2",
        "sinfo": "n1|8|4.0|1024|512\nn2|8|9.5|1024|1024\nn1|8|4.0|1024|512",
    }.items():
        (lab / "bin" / name).write_text(f"#!/bin/sh\ncat <<'X'\n{lines}\nX\n")
        (lab / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{lab / 'bin'}:{os.environ['PATH']}")
    said = MLEResource("slurm-cluster", {"partitions": ["p", "q"]}).monitor()
    assert said["user_data"] == {"user": ["ann", "bob"], "total": [2, 1], "run": [1, 1], "wait": [1, 0], "login": [0, 0]}
    assert said["host_data"]["host_id"] == ["p", "q"] and said["node_data"]["host_id"] == ["n1", "n2"]
    util = said["util_data"]
    assert (util["cores"], util["cores_util"], util["mem"], util["mem_util"]) == (16, 12.0, 2.0, 0.5)
    MLEDashboard(MLEProtocol("protocol.db"), MLEResource("slurm-cluster")).snapshot()


@pytest.mark.parametrize("plain", [False, True])
def test_the_dashboard(protocol, capsys, monkeypatch, plain):
    if plain:
        for name in ("rich", "rich.console", "rich.table", "rich.text"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("COLUMNS", "200")
    dashboard = MLEDashboard(protocol, MLEResource("local"))
    dashboard.snapshot()
    protocol.add({**META, "purpose": "[bold]odd[/]"})
    protocol.update_progress_bar()
    dashboard.snapshot()
    said = capsys.readouterr().out
    assert "[bold]odd[/]" in said and "1/10" in said and "cores in use" in said
    with pytest.raises(NotImplementedError):
        dashboard.live(pull_gcs=True)
