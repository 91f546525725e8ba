"""mle_scheduler: jobs, queues, submission scripts. Each defect of the original that is mended has a test of its own name."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

import mle
from mle_scheduler import MLEJob, MLEQueue

#: Writes what it was given to a file named after the config and the seed, as a training script would its log.
SCRIPT = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
for name in ("-exp_dir", "-config", "-seed", "-note"):
    parser.add_argument(name)
args = parser.parse_args()
config = json.load(open(args.config)) if args.config else {}
print("loud " * config.get("loud", 0))
if config.get("fail_at") == args.seed:
    sys.exit("no good")
os.makedirs(args.exp_dir, exist_ok=True)
stem = os.path.basename(args.config or "none").split(".")[0]
with open(os.path.join(args.exp_dir, f"{stem}_{args.seed}.txt"), "w") as file:
    json.dump(vars(args), file)
"""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name not in ("MLE_PROGRAMS",):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.delenv("WORKON_HOME", raising=False)
    (tmp_path / "train.py").write_text(SCRIPT)
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"lr": 0.1}))
    return tmp_path


def program(folder, name, text):
    """Put a program of our own on the PATH, in place of a cluster's."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/bash\n" + textwrap.dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


# Jobs.


def test_a_job_runs_and_is_in_the_file(lab):
    job = MLEJob("local", "train.py", {}, "a.json", "out", seed_id=3, extra_cmd_line_input={"note": "x"})
    assert job.cmd_line_args == " -exp_dir out -config a.json -seed 3 -note x"
    assert job.run() == 0 and job.job_status == 0
    said = json.loads((lab / "out" / "a_3.txt").read_text())
    assert said == {"exp_dir": "out", "config": "a.json", "seed": "3", "note": "x"}
    runs = mle.open("out/mle.db").runs()
    assert (runs["name"], runs["seed"], runs["state"], runs["params"]) == (["a"], [3], ["complete"], [{"lr": 0.1}])


def test_a_job_is_polled_and_waited_for(lab):
    (lab / "slow.py").write_text("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('went')\n")
    job = MLEJob("local", "slow.py", experiment_dir="out")
    handle = job.schedule()
    assert job.job_status == 1
    assert job.monitor(handle, continuous=False) == 1
    (lab / "go").write_text("")
    assert job.monitor(handle, continuous=True) == 0
    assert handle.communicate() == (b"went\n", b"") and handle.returncode == 0


def test_a_failed_job_says_so(lab, caplog):
    (lab / "a.json").write_text(json.dumps({"fail_at": "1"}))
    assert MLEJob("local", "train.py", {}, "a.json", "out", seed_id=1).run() == -1
    assert "no good" in caplog.text


def test_arguments_of_the_constructor():
    with pytest.raises(ValueError, match="moon"):
        MLEJob("moon", "train.py").schedule()
    with pytest.raises(ValueError, match="train.r"):
        MLEJob("local", "train.r", experiment_dir="out").schedule()
    with pytest.raises(AssertionError):
        MLEJob("gcp-cloud", "train.py")
    with pytest.raises(AssertionError):
        MLEJob("ssh-node", "train.py")
    given = {"job_name": "j"}
    assert MLEJob("local", "train.py", given, seed_id=7).job_arguments["job_name"] == "j-7"
    assert MLEJob("local", "train.py", seed_id=7).job_arguments["job_name"] == "7"
    assert given == {"job_name": "j"}


def test_the_config_is_deleted_when_asked_for(lab):
    MLEJob("local", "train.py", {}, "a.json", "out", 0, delete_config=True, debug_mode=True).run()
    assert (lab / "a.json").exists()
    MLEJob("local", "train.py", {}, "a.json", "out", 0, delete_config=True).run()
    assert not (lab / "a.json").exists()


def test_what_is_not_there_yet_says_so():
    with pytest.raises(NotImplementedError, match="ssh-node.*resource_to_run='local'"):
        MLEJob("ssh-node", "train.py", ssh_settings={"remote_dir": "x"}).schedule()
    with pytest.raises(NotImplementedError, match="GCP"):
        MLEJob("gcp-cloud", "train.py", cloud_settings={"remote_dir": "x"}).schedule()
    with pytest.raises(NotImplementedError, match="gcp-cloud"):
        MLEQueue("gcp-cloud", "train.py", {}, ["a.json"], "out", cloud_settings={})


# Queues.


def test_a_queue_is_configs_times_seeds(lab):
    calls = []

    class Bar:
        def update_progress_bar(self):
            calls.append(1)

    queue = MLEQueue(
        resource_to_run="local",
        job_filename="train.py",
        config_filenames=["a.json", "b.json"],
        num_seeds=2,
        random_seeds=[0, 1],
        experiment_dir="out",
        job_arguments={"extra_cmd_line_input": {"note": "n"}, "time_between_launch": 0.01},
        protocol_db=Bar(),
    )
    assert [(entry["base_str"], entry["seed_id"], entry["status"]) for entry in queue.queue] == [
        ("a", 0, -1), ("a", 1, -1), ("b", 0, -1), ("b", 1, -1),
    ]  # fmt: skip
    assert queue.mle_run_ids == ["a", "b"] and queue.mle_log_dirs == ["out/a", "out/b"]
    queue.run()
    assert [entry["status"] for entry in queue.queue] == [0, 0, 0, 0]
    assert (queue.num_completed_jobs, queue.num_running_jobs, queue.queue_counter, len(calls)) == (4, 0, 4, 4)
    assert sorted(path.name for path in (lab / "out").glob("*.txt")) == ["a_0.txt", "a_1.txt", "b_0.txt", "b_1.txt"]
    db = mle.open("out/mle.db")
    assert sorted(zip(db.runs()["name"], db.runs()["seed"])) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert db.experiments()["state"] == ["complete"]


def test_a_queue_launches_one_by_hand():
    queue = MLEQueue("local", "train.py", {}, ["a.json"], "out", default_seed=5)
    job, handle = queue.launch(0)
    assert queue.monitor(job, handle) == 0 and os.path.exists("out/a_5.txt")


def test_seeds():
    import numpy

    def seeds(**more):
        return MLEQueue("local", "train.py", {}, ["a.json"], "out", **more).random_seeds

    assert seeds(default_seed=3) == [3]
    assert seeds(num_seeds=7, random_seeds=[4, 2]) == [4, 2]
    numpy.random.seed(1)
    drawn = seeds(num_seeds=4)
    assert len(set(drawn)) == 4 and all(100000 <= seed <= 999998 for seed in drawn)
    numpy.random.seed(1)
    assert seeds(num_seeds=4) == drawn
    with pytest.raises(ValueError, match="num_seeds 0"):
        seeds(num_seeds=0)


def test_s1_s2_slots_are_filled_at_once(lab):
    # A job that waits for the last one to have run: with polls that block, or slots that stay empty, it would for ever.
    (lab / "gate.py").write_text(
        "import argparse, os, time\np = argparse.ArgumentParser()\nfor n in ('-exp_dir', '-config', '-seed'): p.add_argument(n)\n"
        "seed = p.parse_args().seed\n"
        "while seed == '0' and not os.path.exists('done'): time.sleep(0.01)\n"
        "if seed == '5': open('done', 'w')\n"
    )
    queue = MLEQueue("local", "gate.py", {}, ["a.json"], "out", random_seeds=list(range(6)), max_running_jobs=2)
    queue.run()
    assert not queue.failed_jobs and (lab / "done").exists()


def test_max_running_jobs_is_kept(lab):
    (lab / "count.py").write_text(
        "import os, sys, time\nname = 'on_' + sys.argv[-1]\nopen(name, 'w').close()\n"
        "n = len([f for f in os.listdir() if f.startswith('on_')])\ntime.sleep(0.05)\nos.remove(name)\nprint(n)\n"
    )
    queue = MLEQueue("local", "count.py", {}, ["a.json"], "out", random_seeds=list(range(8)), max_running_jobs=3)
    queue.run()
    seen = [int(entry["job_id"].output()) for entry in queue.queue]
    assert 1 <= max(seen) <= 3


def test_s3_much_output_does_not_block(lab):
    (lab / "a.json").write_text(json.dumps({"loud": 40000}))
    job = MLEJob("local", "train.py", {}, "a.json", "out", 0)
    handle = job.schedule()
    assert job.monitor(handle) == 0
    assert len(handle.output()) == 5 * 40000 + 1


def test_s5_s6_s7_a_job_runs_in_its_venv_with_its_interpreter(lab, monkeypatch):
    home = lab / "envs" / "mine" / "bin"
    home.mkdir(parents=True)
    program(home, "python", f'export WHICH=venv; exec {sys.executable} "$@"\n')
    (home / "activate").write_text(f"export VIRTUAL_ENV={home.parent}\nexport PATH={home}:$PATH\n")
    (home.parent / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (lab / "which.py").write_text("import os\nprint(os.environ.get('WHICH'))\n")
    monkeypatch.setenv("WORKON_HOME", str(lab / "envs"))
    # The toolbox sets both keys; a false one for conda must not stand in the way.
    arguments = {"env_name": "mine", "use_conda_venv": False, "use_venv_venv": True}
    job = MLEJob("local", "which.py", arguments, experiment_dir="out")
    handle = job.schedule()
    assert job.monitor(handle) == 0, handle.output("stderr")
    assert handle.output() == "venv\n"


def test_an_environment_that_cannot_be_here_is_told_of(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("CONDA_EXE", raising=False)
    job = MLEJob("local", "train.py", {"env_name": "x", "use_conda_venv": True}, "a.json", "out", 0)
    assert job.run() == 0
    assert "'x' is not activated" in caplog.text


def test_s8_a_shell_script_is_run_by_bash(lab):
    (lab / "job.sh").write_text('[[ $1 == -exp_dir ]] && echo "$2" "${BASH_VERSION:+bash}"\n')
    job = MLEJob("local", "job.sh", experiment_dir="out")
    handle = job.schedule()
    assert job.monitor(handle) == 0 and handle.output() == "out bash\n"


def test_s13_configs_of_one_name_are_refused(lab):
    for folder in ("ca", "cb"):
        (lab / folder).mkdir()
        (lab / folder / "c.json").write_text("{}")
    with pytest.raises(ValueError, match="ca/c.json.*cb/c.json.*rename"):
        MLEQueue("local", "train.py", {}, ["ca/c.json", "cb/c.json"], "out")


def test_s22_failures_are_seen(lab, caplog):
    (lab / "b.json").write_text(json.dumps({"fail_at": "1"}))
    calls = []
    bar = type("Bar", (), {"update_progress_bar": lambda self: calls.append(1)})()
    queue = MLEQueue("local", "train.py", {}, ["a.json", "b.json"], "out", random_seeds=[0, 1], protocol_db=bar)
    queue.run()
    (failed,) = queue.failed_jobs
    assert (failed["base_str"], failed["seed_id"], failed["exit_code"]) == ("b", 1, 1)
    assert "1 of 4 jobs failed" in caplog.text and caplog.text.count("no good") == 1, "said once"
    # M-17: what failed is not counted as completed.
    assert len(calls) == 3
    db = mle.open("out/mle.db")
    assert db.experiments()["state"] == ["failed"] and sorted(db.jobs()["state"])[0] == "failed"


def test_s23_merging_where_nothing_was_logged_says_so(lab):
    (lab / "a.json").write_text(json.dumps({"fail_at": "0"}))
    queue = MLEQueue("local", "train.py", {}, ["a.json"], "out", automerge_configs=True)
    with pytest.raises(mle.FailedError, match="no good"):
        queue.run()


def test_s24_jobs_of_a_killed_queue_are_joined(lab):
    (lab / "slow.py").write_text(
        "import os, time\nopen('starts', 'a').write('x')\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    )
    text = "from mle_scheduler import MLEQueue; MLEQueue('local', 'slow.py', {}, ['a.json'], 'out').run()"
    driver = subprocess.Popen([sys.executable, "-c", text])
    while not os.path.exists("starts"):
        assert driver.poll() is None
    driver.kill()
    driver.wait()
    queue = MLEQueue("local", "slow.py", {}, ["a.json"], "out")
    second = threading.Thread(target=queue.run)
    second.start()
    while queue.queue[0]["job_id"] is None:
        assert second.is_alive()
    (lab / "go").write_text("")
    second.join()
    assert not queue.failed_jobs and (lab / "starts").read_text() == "x"
    db = mle.open("out/mle.db")
    assert db.jobs()["state"] == ["succeeded"] and db.experiments()["state"] == ["complete"]


def test_ctrl_c_cancels_the_jobs(lab):
    (lab / "slow.py").write_text("import time\nopen('started', 'w')\ntime.sleep(1000)\n")
    text = "from mle_scheduler import MLEQueue; MLEQueue('local', 'slow.py', {}, ['a.json', 'b.json'], 'out', max_running_jobs=1).run()"
    # Whoever started the tests in the background has taught their children to ignore Ctrl-C.
    heeding = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    driver = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL, preexec_fn=heeding)
    while not os.path.exists("started"):
        assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    assert driver.wait(120) != 0
    db = mle.open("out/mle.db")
    assert db.jobs()["state"] == ["cancelled", "cancelled"] and db.experiments()["state"] == ["cancelled"]


def test_s25_a_config_is_deleted_after_its_last_seed(lab):
    queue = MLEQueue(
        "local", "train.py", {}, ["a.json"], "out", random_seeds=[0, 1, 2], max_running_jobs=1, delete_config=True
    )
    queue.run()
    assert not queue.failed_jobs and not (lab / "a.json").exists()


def test_s26_arguments_reach_the_script_as_they_are(lab):
    note = "two words; touch injected $(touch injected) '\""
    queue = MLEQueue(
        "local", "train.py", {"extra_cmd_line_input": {"note": note}}, ["a.json"], "an out", default_seed=1
    )
    queue.run()
    assert json.loads((lab / "an out" / "a_1.txt").read_text())["note"] == note
    assert not (lab / "injected").exists()


def test_s28_one_config_may_be_a_text():
    assert [entry["config_fname"] for entry in MLEQueue("local", "t.py", {}, "a.json", "out").queue] == ["a.json"]
    for missing in ({"experiment_dir": "out"}, {"config_filenames": ["a.json"]}):
        with pytest.raises(TypeError, match="is missing"):
            MLEQueue("local", "t.py", {}, **missing)


def test_s30_unknown_arguments_are_told_of(caplog):
    MLEJob("slurm-cluster", "t.py", {"partition": "p", "num_logical_cores": 1, "exclude_nodes": ["n"], "gpu_tpye": "x"})
    assert "'exclude_nodes', 'gpu_tpye'" in caplog.text


# Clusters.

RULE = 'echo "' + "-" * 72 + '"'


def test_slurm_script():
    from mle_scheduler.cluster.slurm.helpers_launch_slurm import slurm_generate_startup_file

    arguments = {
        "job_name": "test", "partition": "gpu", "num_logical_cores": 2, "num_gpus": 1, "gpu_type": "v100",
        "memory_per_cpu": 500, "time_per_job": "0-01:00", "env_name": "my-env", "use_conda_venv": True,
        "modules_to_load": ["cuda/11", "gcc"], "script": "python train.py",
    }  # fmt: skip
    lines = slurm_generate_startup_file(arguments).format(**arguments).split("\n")
    assert lines == [
        "#!/bin/bash",
        "#SBATCH --job-name=test",
        "#SBATCH --output=log.txt",
        "#SBATCH --error=err.err",
        "#SBATCH --partition=gpu",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --gres=gpu:v100:1",
        "#SBATCH --mem-per-cpu=500",
        "#SBATCH --time=0-01:00",
        "",
        RULE,
        "source ~/miniconda3/etc/profile.d/conda.sh",
        RULE,
        ". ~/.bashrc && conda activate my-env",
        'echo "Successfully activated virtual environment - Ready to start job"',
        "",
        "module load cuda/11",
        "module load gcc",
        RULE,
        'echo "Job started on" `date`',
        RULE,
        "python train.py",
        RULE,
        'echo "Job ended on" `date`',
        RULE,
        "conda deactivate",
        "",
    ]
    del arguments["gpu_type"]
    with pytest.raises(KeyError, match="gpu_type"):
        slurm_generate_startup_file(arguments)
    arguments.update(gpu_type=None)
    assert "#SBATCH --gres=gpu:1\n" in slurm_generate_startup_file(arguments).format(**arguments)


def test_sge_script():
    from mle_scheduler.cluster.sge.helpers_launch_sge import sge_generate_startup_file

    arguments = {
        "job_name": "test", "queue": "q.q", "num_logical_cores": 2, "num_gpus": 1, "gpu_type": "RTX", "gpu_prefix": "cuda",
        "memory_per_job": 2000, "time_per_job": "00:10:00", "env_name": "my-env", "use_venv_venv": True,
        "work_on_dir": "/envs", "script": "bash run.sh", "exclude_nodes": ["n1", "n2"],
    }  # fmt: skip
    lines = sge_generate_startup_file(arguments).format(**arguments).split("\n")
    assert lines == [
        "",
        "#" * 37,
        "#!/bin/sh",
        "#$ -binding linear:2",
        "#$ -q q.q",
        "#$ -cwd",
        "#$ -V",
        "#$ -N test",
        "#$ -e err.err",
        "#$ -o log.txt",
        '#$ -l cuda="1",gputype="RTX"',
        "#$ -l hostname=!n1&!n2",
        "#$ -l h_vmem=2000M",
        "#$ -l mem_free=2000M",
        "#$ -l h_rt=00:10:00",
        "#$ -terse",
        "",
        "#" * 37,
        RULE,
        ". ~/.bashrc && source /envs/my-env/bin/activate",
        'echo "Successfully activated virtual environment - Ready to start job"',
        "",
        RULE,
        'echo "Job started on" `date`',
        RULE,
        "bash run.sh",
        RULE,
        'echo "Job ended on" `date`',
        RULE,
        "",
    ]


def test_s14_no_stray_line_without_gpus_and_any_of_the_included_nodes():
    from mle_scheduler.cluster.sge.helpers_launch_sge import sge_generate_startup_file

    text = sge_generate_startup_file({"num_gpus": 0, "gpu_type": "RTX", "include_nodes": ["n1", "n2"]})
    assert "gputype" not in text and "#$ -l hostname=n1|n2\n" in text


def test_ssh_command():
    from mle_scheduler.ssh.helpers_launch_ssh import ssh_get_submission_cmd

    settings = {"remote_dir": "code"}
    plain = ssh_get_submission_cmd("train.py", "-seed 1", {}, settings)
    assert plain == "echo $$; /bin/bash -c 'cd code && python train.py -seed 1'"
    conda = ssh_get_submission_cmd("run.sh", "-seed 1", {"env_name": "e", "use_conda_venv": True}, settings)
    assert conda == (
        "echo $$; /bin/bash -c 'source $(conda info --base)/etc/profile.d/conda.sh && conda activate e && "
        "cd code && bash run.sh -seed 1'"
    )
    # Whatever the folder is called, it is one word.
    odd = ssh_get_submission_cmd("train.py", "", {}, {"remote_dir": "a'; touch injected; '"}).replace("echo $$; ", "")
    subprocess.run(["bash", "-c", odd], stderr=subprocess.DEVNULL)
    assert not os.path.exists("injected")


def test_gcp_command():
    from mle_scheduler.cloud.gcp.helpers_launch_gcp import gcp_get_submission_cmd

    words, used = gcp_get_submission_cmd("vm", {"num_logical_cores": 2}, "vm-startup")
    assert words[:5] == ["gcloud", "compute", "instances", "create", "vm"]
    assert "--custom-cpu=4" in words and "--custom-memory=8192MB" in words and used["num_gpus"] == 0
    assert "--metadata-from-file=startup-script=vm-startup" in words
    # S-18: each flag is a word, and a job without GPUs after one with them has none.
    gpu = {"num_logical_cores": 2, "num_gpus": 1, "gpu_type": "nvidia-tesla-t4"}
    words, _ = gcp_get_submission_cmd("vm", gpu, "s")
    assert "--accelerator=type=nvidia-tesla-t4,count=1" in words
    assert sum(word.startswith("--maintenance-policy") for word in words) == 1
    assert not any("accelerator" in word for word in gcp_get_submission_cmd("vm", {"num_logical_cores": 2}, "s")[0])
    with pytest.raises(AssertionError, match="abacus"):
        gcp_get_submission_cmd("vm", {**gpu, "gpu_type": "abacus"}, "s")
    tpu, _ = gcp_get_submission_cmd("vm", {"use_tpus": 1}, "s")
    assert tpu[:6] == ["gcloud", "alpha", "compute", "tpus", "tpu-vm", "create"]


@pytest.fixture
def slurm(lab, monkeypatch):
    """Slurm as two programs: what is submitted runs at once, and is listed as long as it runs."""
    folder = lab / "bin"
    program(folder, "sbatch", f"""
        echo "$@" >> {lab}/sbatch.args
        cp "${{@: -1}}" {lab}/submitted.sh
        [ -e {lab}/refuse ] && {{ echo "sbatch: error: invalid partition" >&2; exit 1; }}
        n=$(( $(cat {lab}/n 2>/dev/null || echo 100) + 1 )); echo $n > {lab}/n
        bash "${{@: -1}}" > {lab}/log-$n.txt 2>&1
        echo "Submitted batch job $n"
    """)  # fmt: skip
    program(folder, "squeue", "echo JOBID PARTITION\necho '777_[1-10] main'\n")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("mle_scheduler.cluster._submit.PAUSE_S", 0.0)
    (lab / "home").mkdir()
    (lab / "home" / ".bashrc").write_text("")
    monkeypatch.setenv("HOME", str(lab / "home"))
    return lab


def test_s9_s11_a_slurm_queue_ends_though_jobs_are_gone_at_once(slurm):
    arguments = {"partition": ["p", "q"], "num_logical_cores": 1, "time_per_job": "10:05:02"}
    queue = MLEQueue("slurm-cluster", "train.py", arguments, ["a.json", "b.json"], "out", random_seeds=[0, 1])
    queue.run()
    assert queue.num_completed_jobs == 4
    assert sorted(path.name for path in (slurm / "out").glob("*.txt")) == ["a_0.txt", "a_1.txt", "b_0.txt", "b_1.txt"]
    submitted = (slurm / "submitted.sh").read_text()
    # S-10: ten days are ten days.
    assert "--time=10-05:02\n" in submitted and "--partition=p,q\n" in submitted
    # S-17: each job has an output of its own, and no script is left behind.
    assert "--output=log-%j.txt" in (slurm / "sbatch.args").read_text()
    assert not list(slurm.glob("submit_*"))


def test_s4_a_refused_job_is_tried_three_times(slurm, caplog):
    (slurm / "refuse").write_text("")
    job = MLEJob("slurm-cluster", "train.py", {"partition": "no", "num_logical_cores": 1}, "a.json", "out", 0)
    assert job.run() == -1
    assert len((slurm / "sbatch.args").read_text().splitlines()) == 3
    assert "invalid partition" in caplog.text and not list(slurm.glob("submit_*"))


def test_s10_scheduling_twice_converts_once(slurm):
    job = MLEJob("slurm-cluster", "train.py", {"partition": "p", "num_logical_cores": 1, "time_per_job": "1:02:03"})
    assert job.schedule() == 101 and job.schedule() == 102
    assert "--time=1-02:03\n" in (slurm / "submitted.sh").read_text()


def test_s12_sge_says_its_number(lab, monkeypatch):
    program(lab / "bin", "qsub", f"cp \"${{@: -1}}\" {lab}/submitted\necho 4711\n")
    program(lab / "bin", "qstat", "echo header\necho ------\n[ -e running ] && echo '   4711 0.5 job user r'\nexit 0\n")
    monkeypatch.setenv("PATH", f"{lab / 'bin'}:{os.environ['PATH']}")
    job = MLEJob("sge-cluster", "train.py", {"queue": ["a", "b"], "num_logical_cores": 1, "time_per_job": "02:05:30"})
    (lab / "running").write_text("")
    assert job.schedule() == 4711
    assert job.monitor(4711, continuous=False) == 1
    (lab / "running").unlink()
    assert job.monitor(4711) == 0
    text = (lab / "submitted").read_text()
    assert "#$ -l h_rt=53:30:00\n" in text and "#$ -q a,b\n" in text


def test_a_cluster_that_is_not_here_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(mle.NotFoundError, match="sbatch.*local"):
        MLEJob("slurm-cluster", "train.py", {"partition": "p", "num_logical_cores": 1}).schedule()
    with pytest.raises(KeyError, match="partition"):
        MLEJob("slurm-cluster", "train.py", {"num_logical_cores": 1}).schedule()


def test_local_helpers():
    from mle_scheduler.local import monitor_local, random_id, submit_local, submit_subprocess

    assert len(set(random_id())) == 8 and random_id() != random_id()
    handle = submit_subprocess("echo 'a  b' > c")
    assert handle.wait() == 0 and not monitor_local(handle)
    # No shell: the arrow is a word.
    assert handle.output() == "a  b > c\n"
    assert submit_local("train.py", "-exp_dir out -seed 9").wait() == 0 and os.path.exists("out/none_9.txt")


def test_logs_are_merged_with_and_without_files(lab, monkeypatch):
    pytest.importorskip("h5py")
    (lab / "log.py").write_text(
        "import argparse\nfrom mle_logging import MLELogger\np = argparse.ArgumentParser()\n"
        "p.add_argument('-exp_dir')\np.add_argument('-config')\np.add_argument('-seed', type=int, default=1)\na = p.parse_args()\n"
        "log = MLELogger(time_to_track=['n'], what_to_track=['loss'], experiment_dir=a.exp_dir, config_fname=a.config, seed_id=a.seed)\n"
        "log.update({'n': 1}, {'loss': a.seed / 2}, save=True)\n"
    )
    assert MLEJob("local", "log.py", {}, "a.json", "one").run() == 0
    assert (lab / "one" / "a" / "logs" / "log_seed_1.hdf5").exists()

    def queue(folder, **how):
        made = MLEQueue("local", "log.py", {}, ["a.json", "b.json"], folder, random_seeds=[0, 1], **how)
        made.run()
        return made

    queue("seeds", automerge_seeds=True)
    assert (lab / "seeds" / "a" / "logs" / "log.hdf5").exists() and (lab / "seeds" / "b" / "logs" / "log.hdf5").exists()
    done = queue("configs", automerge_configs=True)
    assert (lab / "configs" / "meta_log.hdf5").exists()
    assert float(done.log["b"].stats.loss.mean[-1]) == 0.25 and all(entry["merged_logs"] for entry in done.queue)
    # S-23: the same queue once more, where an earlier one has merged.
    assert float(queue("configs", automerge_configs=True).log["a"].stats.loss.mean[-1]) == 0.25
    monkeypatch.setenv("MLE_MIRROR", "0")
    bare = queue("bare", automerge_configs=True)
    assert float(bare.log["b"].stats.loss.mean[-1]) == 0.25 and not (lab / "bare" / "meta_log.hdf5").exists()
