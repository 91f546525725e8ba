"""Where names are, and what type checkers know of them."""

import importlib
import subprocess
import sys

import pytest

# Modules of the original packages, with what scripts import from them.
PATHS = {
    "mle_hyperopt": "RandomSearch GridSearch SMBOSearch NevergradSearch CoordinateSearch HalvingSearch HyperbandSearch PBTSearch",
    "mle_hyperopt.strategies.pbt": "Exploit Explore",
    "mle_hyperopt.utils.plotting": "visualize_2D_grid",
    "mle_logging": "MLELogger load_log load_meta_log load_model load_config merge_config_logs merge_seed_logs",
    "mle_logging.load": "load_log load_meta_log load_model",
    "mle_logging.load.load_log": "load_log load_meta_log",
    "mle_logging.load.load_model": "load_model",
    "mle_logging.merge.aggregate": "aggregate_over_seeds tolerant_mean tolerant_median",
    "mle_logging.merge.merge_logs": "merge_config_logs merge_seed_logs",
    "mle_logging.meta_log": "MetaLog",
    "mle_logging.utils": "load_config load_yaml_config load_json_config visualize_1D_lcurves",
    "mle_monitor": "MLEDashboard MLEProtocol MLEResource",
    "mle_monitor.mle_dashboard": "MLEDashboard",
    "mle_monitor.mle_protocol": "MLEProtocol",
    "mle_monitor.mle_resource": "MLEResource",
    "mle_scheduler": "MLEJob MLEQueue",
    "mle_scheduler.cloud.gcp.helpers_launch_gcp": "gcp_get_submission_cmd",
    "mle_scheduler.cloud.gcp.job_manage_gcp": "submit_gcp monitor_gcp",
    "mle_scheduler.cluster.sge.helpers_launch_sge": "sge_generate_startup_file",
    "mle_scheduler.cluster.sge.manage_sge": "submit_sge monitor_sge",
    "mle_scheduler.cluster.slurm.helpers_launch_slurm": "slurm_generate_startup_file",
    "mle_scheduler.cluster.slurm.manage_slurm": "submit_slurm monitor_slurm",
    "mle_scheduler.job_queue": "MLEQueue",
    "mle_scheduler.local.manage_local": "submit_local submit_conda submit_venv",
    "mle_scheduler.ssh.file_manage_ssh": "send_dir_ssh copy_dir_ssh",
    "mle_scheduler.ssh.ssh_manager": "SSH_Manager",
    "mle_toolbox": "MLExperiment experiment mle_config load_result_logs combine_experiments check_single_job_args",
    "mle_toolbox.experimental.hypothesis": "HypothesisTester",
    "mle_toolbox.hyperopt": "HyperoptLogger MLE_BatchSearch",
    "mle_toolbox.hyperopt.hyper_logger": "HyperoptLogger",
    "mle_toolbox.launch.launch_experiment": "launch_experiment",
    "mle_toolbox.launch.multi_config": "run_multiple_configs",
    "mle_toolbox.launch.prepare_experiment": "check_experiment_config welcome_to_mle_toolbox",
    "mle_toolbox.launch.processing_job": "run_processing_job",
    "mle_toolbox.launch.search_experiment": "run_hyperparameter_search",
    "mle_toolbox.launch.single_config": "run_single_config",
    "mle_toolbox.launch.spawn_jobs": "spawn_single_job spawn_multiple_configs",
    "mle_toolbox.report": "FigureGenerator ReportGenerator",
    "mle_toolbox.src": "report run",
    "mle_toolbox.src.report": "report",
    "mle_toolbox.toolbox": "main",
    "mle_toolbox.utils": "load_experiment_config load_hyper_log load_mle_toolbox_config load_result_logs HyperoptLogger",
    "mle_toolbox.utils.core_experiment": "load_config load_job_config set_random_seeds",
    "mle_toolbox.utils.hyper_log": "HyperLog",
}


@pytest.mark.parametrize("module", PATHS)
def test_names_are_where_they_were(module):
    pytest.importorskip("numpy")
    found = importlib.import_module(module)
    for name in PATHS[module].split():
        assert callable(getattr(found, name)) or name == "mle_config", name


def test_modules_that_have_the_name_of_a_function_do_not_hide_it():
    import mle_logging.load.load_log
    import mle_toolbox.src.report

    assert mle_logging.load.load_log is mle_logging.load_log
    assert callable(mle_toolbox.src.report) and callable(mle_toolbox.src.run)


def test_a_job_that_logs_numbers_needs_no_numpy(tmp_path):
    script = "from mle_logging import MLELogger; import sys; log = MLELogger(what_to_track=['loss'], seed_id=1)\n"
    script += "[log.update({'n': i}, {'loss': 1.0}, save=True) for i in range(3)]; log.close()\n"
    script += "print(sorted({'numpy', 'h5py', 'rich', 'matplotlib', 'pandas'} & set(sys.modules)))"
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"MLE_MIRROR": "later"}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


TYPED = """
from mle_hyperopt import RandomSearch
from mle_logging import MLELogger, load_meta_log
from mle_monitor import MLEProtocol
from mle_scheduler import MLEQueue
from mle_toolbox import MLExperiment

strategy = RandomSearch(real={"lr": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}, seed_id=3)
configs, names = strategy.ask(2, store=True)
queue = MLEQueue("local", "train.py", config_filenames=names, experiment_dir="logs", num_seeds=2)
queue.run()
log: MLELogger = MLELogger(time_to_track=["n"], what_to_track=["loss"], seed_id=1)
log.update({"n": 1}, {"loss": 0.5}, save=True)
strategy.tell(configs, [load_meta_log("logs/meta_log.hdf5")[run].stats.loss.mean[-1] for run in queue.mle_run_ids])
protocol = MLEProtocol("p.db")
protocol.complete(protocol.add({"purpose": "x"}))
experiment = MLExperiment()
experiment.train_config.lr
ready: int = log.ready_to_log("3")
log.upate({}, {})
"""


def test_type_checkers_know_the_interface(tmp_path):
    pytest.importorskip("mypy")
    if "site-packages" not in importlib.import_module("mle_logging").__file__:
        pytest.skip("mypy finds installed packages only")
    (tmp_path / "typed.py").write_text(TYPED)
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "typed.py"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True).stdout
    errors = [line for line in said.splitlines() if line.startswith("typed.py") and ": error:" in line]
    assert [line.split(":")[1] for line in errors] == ["19", "20"], said
    assert '"str"' in errors[0] and '"update"' in errors[1], said
