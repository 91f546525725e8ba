"""The logger."""

import atexit
import json
import os
import sys
import warnings
import weakref

import mle

from . import _hdf5, _read, _store, save
from .save import ExtraLog, FigureLog, ModelLog, StatsLog
from .utils import load_config, print_reload, print_startup, print_storage, print_update, print_welcome

#: Loggers of this process that have a file open.
_open = weakref.WeakSet()


class MLELogger:
    """Logs clocks, statistics, models, figures and objects of one run with one seed.

    All of it is in one SQLite file: `mle.db` in `experiment_dir`, or the one that `MLE_DB` names. What :meth:`update` is
    given is there within 50 ms, and survives a crash. :meth:`save` returns once everything is there, and brings
    `logs/log_SEED.hdf5` up to date where h5py is installed and `MLE_MIRROR` is not 0.

    Parameters
    ----------
    experiment_dir : str
        The folder; with `config_fname` a folder named as the config inside it.
    time_to_track, what_to_track : list of str
        Names of clocks and statistics; others may come with any update.
    time_to_print, what_to_print : list of str, optional
        Which of them are printed [default: all].
    config_fname : str, optional
        A `.json` or `.yaml` config, kept with the log.
    config_dict : dict, optional
        The config, where there is no file of it.
    seed_id : int or str
        3 becomes "seed_3".
    overwrite : bool
        Delete the HDF5 log of the same seed, and its TensorBoard folder. Earlier runs stay in the database; the latest
        is what is loaded.
    use_tboard, use_wandb : bool
    wandb_config : dict, optional
        `key`, `entity`, `project`, `group`, `name`.
    log_every_j_steps : int, optional
        Of :meth:`ready_to_log`.
    print_every_k_updates : int or None
    model_type : str
        torch, tensorflow, jax, sklearn, numpy or no-model-type.
    ckpt_time_to_track : str, optional
        The clock that is recorded with checkpoints.
    save_every_k_ckpt, save_top_k_ckpt : int, optional
        Keep each k-th checkpoint, and the k best.
    top_k_metric_name : str, optional
    top_k_minimize_metric : bool, optional
        Whether smaller is better.
    reload : bool
        Go on with the stored run of the seed.
    verbose : bool
    """

    def __init__(
        self,
        experiment_dir=".",
        time_to_track=[],
        what_to_track=[],
        time_to_print=None,
        what_to_print=None,
        config_fname=None,
        config_dict=None,
        seed_id="no_seed_provided",
        overwrite=False,
        use_tboard=False,
        use_wandb=False,
        wandb_config=None,
        log_every_j_steps=None,
        print_every_k_updates=1,
        model_type="no-model-type",
        ckpt_time_to_track=None,
        save_every_k_ckpt=None,
        save_top_k_ckpt=None,
        top_k_metric_name=None,
        top_k_minimize_metric=None,
        reload=False,
        verbose=False,
    ):
        self.use_tboard = use_tboard
        self.use_wandb = use_wandb
        self.log_every_j_steps = log_every_j_steps
        self.print_every_k_updates = print_every_k_updates
        self.log_save_counter = 0
        self.log_setup_counter = 0
        self.verbose = verbose
        self.print_counter = 0
        self.config_fname = os.fspath(config_fname) if config_fname is not None else None
        self.seed_id = _seed_label(seed_id)
        self._top = os.fspath(experiment_dir)
        self._logger = self._database = None
        self._metrics, self._columns = {}, []
        self._stored = None
        self.get_configs_ready(self.config_fname, config_dict)
        self.setup_experiment(self._top, reload)
        self.log_save_fname = os.path.join(self.experiment_dir, "logs/", f"log_{self.seed_id}.hdf5")
        self._started_over = not reload
        if overwrite and not reload:
            self._overwrite()

        self.stats_log = StatsLog(self.experiment_dir, self.seed_id, time_to_track, what_to_track)
        self.model_log = ModelLog(
            self.experiment_dir,
            self.seed_id,
            model_type,
            ckpt_time_to_track,
            save_every_k_ckpt,
            save_top_k_ckpt,
            top_k_metric_name,
            top_k_minimize_metric,
            keep=self._keep,
        )
        self.figure_log = FigureLog(self.experiment_dir, self.seed_id, keep=self._keep)
        self.extra_log = ExtraLog(self.experiment_dir, self.seed_id, keep=self._keep)
        if reload:
            self._reload()
        self.tboard_log = (
            save.TboardLog(self.experiment_dir, self.seed_id) if use_tboard else None
        )
        self.wandb_log = (
            save.WandbLog(self.config_dict, self.config_fname, self.seed_id, wandb_config) if use_wandb else None
        )
        self.time_to_print = list(time_to_print) if time_to_print is not None else None
        self.what_to_print = list(what_to_print) if what_to_print is not None else None
        #: Nobody but the database is told of updates.
        self._is_plain = self.tboard_log is None and self.wandb_log is None and not verbose
        if verbose and not reload:
            print_welcome()
            print_startup(
                self.experiment_dir,
                self.config_fname,
                self.stats_log.clock_to_track,
                self.stats_log.stats_to_track,
                model_type,
                seed_id,
                use_tboard,
                reload,
                print_every_k_updates,
                ckpt_time_to_track,
                save_every_k_ckpt,
                save_top_k_ckpt,
                top_k_metric_name,
                top_k_minimize_metric,
            )
        elif verbose:
            print_reload(self.experiment_dir)

    # What is logged -------------------------------------------------------------------------------------------------

    def update(self, clock_tick, stats_tick, model=None, plot_fig=None, extra_obj=None, grads=None, save=False):
        """Log one update.

        Parameters
        ----------
        clock_tick : dict
            Clocks. Neither dict is changed.
        stats_tick : dict
            Statistics: numbers, texts, arrays of numbers, or None for one that is missing.
        model, plot_fig, extra_obj : optional
            A checkpoint, a figure of matplotlib and an object to store with it.
        grads : optional
            For W&B and TensorBoard.
        save : bool
            Call :meth:`save` at the end.

        Raises
        ------
        ValueError
            For a statistic that is none of these; nothing of the update is logged then.
        """
        row = self.stats_log.quick(clock_tick, stats_tick) if self._is_plain and self._logger is not None else None
        if row is not None:
            self._log_quick(row)
            clocks = stats = None
        else:
            clocks, stats = self.stats_log.update(clock_tick, stats_tick)
            self._log(clocks, stats)
        model_type = self.model_log.model_type
        if self.tboard_log is not None:
            self.tboard_log.update(self.stats_log.clock_to_track, clocks, stats, model_type, model, grads, plot_fig)
        if self.wandb_log is not None:
            self.wandb_log.update(clocks, stats, model_type, model, grads, plot_fig)
        if model is not None:
            self.save_model(model)
        if plot_fig is not None:
            self.save_plot(plot_fig)
        if extra_obj is not None:
            self.save_extra(extra_obj)
        if save:
            self.save()
        self._print(clocks, stats, model, plot_fig, extra_obj)

    def save_init_model(self, model):
        """Store the model as it is before training."""
        self.model_log.save_init_model(model)
        self._write_document()

    def save_model(self, model):
        """Store a checkpoint, and of the earlier ones keep those that the rules keep."""
        self.model_log.save(model, self.stats_log.clock_tracked, self.stats_log.stats_tracked)
        self._write_document()

    def save_plot(self, fig, fig_fname=None):
        """Store a figure of matplotlib in `figures/`, under its number or a name."""
        self.create_logging_dir()
        self.figure_log.save(fig, fig_fname, self._step())
        self._write_document()
        self._mirror(only_meta=True)

    def save_extra(self, obj, obj_fname=None):
        """Store an object as a pickle in `extra/`, under its number or a name."""
        self.create_logging_dir()
        self.extra_log.save(obj, obj_fname, self._step())
        self._write_document()
        self._mirror(only_meta=True)

    def save(self):
        """Return once everything is in the database, and the HDF5 file is up to date."""
        self.create_logging_dir()
        self._native().flush()
        self._write_document()
        self._mirror()
        self.log_save_counter += 1

    def close(self):
        """Save, and end the run: it is complete. A later update begins it again."""
        if self._logger is None or self._is_gone():
            self._drop()
            return
        self.save()
        self._drop()

    def fail(self, why):
        """Write what waits, and end the run as failed."""
        if self._logger is not None and not self._is_gone():
            self._write_document()
            self._logger.fail(why)
        self._drop()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.close()
        else:
            self.fail(f"{kind.__name__}: {error}")

    def extend_tracking(self, add_track_vars):
        """Track more statistics: a list of names, or one."""
        self.stats_log.extend_tracking(add_track_vars)

    def ready_to_log(self, update_counter):
        """Return whether to log at an update, counted from 0: at the first, and at each `log_every_j_steps`-th."""
        if self.log_every_j_steps is None:
            raise AssertionError("ready_to_log needs log_every_j_steps: MLELogger(log_every_j_steps=…)")
        return (update_counter + 1) % self.log_every_j_steps == 0 or update_counter == 0

    # Folders --------------------------------------------------------------------------------------------------------

    def get_configs_ready(self, config_fname, config_dict):
        """Read the config: of the file, else of the dict."""
        if config_fname is not None:
            self.config_dict = load_config(config_fname)
            self.base_str = os.path.splitext(os.path.basename(config_fname))[0]
        else:
            self.config_dict = config_dict if config_dict is not None else {}
            self.base_str = ""

    def setup_experiment(self, experiment_dir, reload):
        """Set the run's folder. Nothing is made on the disk."""
        self.experiment_dir = experiment_dir
        if not self.base_str:
            return
        self.experiment_dir = os.path.join(experiment_dir, self.base_str)
        if reload and not os.path.isdir(self.experiment_dir) and os.path.isdir(experiment_dir):
            import re

            # Folders may begin with the time they were made.
            stamped = re.compile(r"\d[\d\-_:T]*_" + re.escape(self.base_str) + "$")
            found = sorted(name for name in os.listdir(experiment_dir) if stamped.match(name))
            if found:
                self.experiment_dir = os.path.join(experiment_dir, found[-1])

    def create_logging_dir(self):
        """Make the run's folder, and copy the config to it, once."""
        if self.log_setup_counter:
            return
        self.log_setup_counter += 1
        if self.config_fname is not None:
            self.config_copy = os.path.join(
                self.experiment_dir, self.base_str + os.path.splitext(self.config_fname)[1]
            )
        else:
            self.config_copy = os.path.join(self.experiment_dir, "config_dict.yaml")
        if not _store.mirrors():
            return
        os.makedirs(os.path.join(self.experiment_dir, "logs/"), exist_ok=True)
        if self.config_fname is not None:
            if os.path.abspath(self.config_fname) != os.path.abspath(self.config_copy):
                with open(self.config_fname, "rb") as source, open(self.config_copy, "wb") as copy:
                    copy.write(source.read())
        else:
            import yaml

            with open(self.config_copy, "w", encoding="utf-8") as file:
                document = mle._mle.Db.as_document(dict(self.config_dict))
                yaml.safe_dump(document, file, default_flow_style=False, allow_unicode=True)

    def _overwrite(self):
        for name in (f"log_{self.seed_id}.hdf5", "log.hdf5"):
            path = os.path.join(self.experiment_dir, "logs", name)
            if os.path.isfile(path):
                warnings.warn(f"{path} is overwritten", stacklevel=4)
                os.remove(path)
        board = os.path.join(self.experiment_dir, "tboards", f"tboard_{self.seed_id}")
        if self.use_tboard and os.path.isdir(board):
            import shutil

            warnings.warn(f"{board} is overwritten", stacklevel=4)
            shutil.rmtree(board)

    # The database ---------------------------------------------------------------------------------------------------

    def _native(self):
        """Return the run's logger; make the run with the first call."""
        if self._logger is not None and self._is_gone():
            # The folder was removed while it was open: what comes now goes to a new run.
            self._drop()
        if self._logger is None:
            path = _store.path_for(self._top)
            for other in list(_open):
                if other._is_gone():
                    other._drop()
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._logger = self._begin(path)
            self._database = self._logger.db
            self._identity = _identity(path)
            _open.add(self)
            # Before the one of `mle` at the end, which was registered just now: a file that was removed is nothing to
            # complain of.
            atexit.unregister(_close_all)
            atexit.register(_close_all)
        return self._logger

    def _begin(self, path):
        config = dict(self.config_dict) if isinstance(self.config_dict, dict) else {"config": self.config_dict}
        name = os.path.basename(os.path.abspath(self._top))
        options = {"config": config, "config_name": self.base_str, "seed": _seed_number(self.seed_id), "name": name}
        if self._stored is not None and self._stored[0] == os.path.realpath(path):
            return mle.Logger(path, run=self._stored[1], from_environment=False)
        if mle.in_job():
            logger = mle.Logger(path, **options)
            has = logger.db.sql(
                "SELECT name FROM artifacts WHERE run_id = ? AND substr(name, 1, 12) = 'mle_logging/'", [logger.run_id]
            )["name"]
            if not has or _store.document_name(path, self.experiment_dir, self.seed_id) in has:
                return logger
            # The job's run has another logger's log already.
        experiment = self._experiment(path, name)
        return mle.Logger(path, experiment=experiment, from_environment=False, **options)

    def _experiment(self, path, name):
        """Return the experiment that other runs below the same folder are of."""
        if not os.path.isfile(path):
            return None
        with mle.open(path) as db:
            place = _store.folder_in(path, self._top)
            prefix = "mle_logging/" + ("" if place == "." else f"{place}/")
            found = db.sql(
                "SELECT a.experiment_id FROM artifacts a JOIN experiments e ON e.id = a.experiment_id "
                "WHERE e.kind = 'log' AND e.name = ? AND a.run_id IS NOT NULL AND substr(a.name, 1, ?) = ? ORDER BY a.id DESC LIMIT 1",
                [name, len(prefix), prefix],
            )["experiment_id"]
            return found[0] if found else None

    def _is_gone(self):
        """Return whether the file that is open is no longer the one at its path."""
        return self._logger is not None and _identity(self._logger.path) != self._identity

    def _drop(self):
        gone = self._is_gone()
        logger, self._logger = self._logger, None
        self._database, self._metrics, self._columns, self._known, self._shape = None, {}, [], None, None
        _open.discard(self)
        if logger is not None:
            # A run of a file that was removed cannot be gone on with, though another file may be in its place.
            self._stored = None if gone else (os.path.realpath(logger.path), logger.run_id)
            try:
                logger.close()
            except mle.Error:
                if not gone:
                    raise

    def _log(self, clocks, stats):
        logger = self._native()
        row = {"time_elapsed": clocks["time_elapsed"]}
        for name, value in clocks.items():
            own = name == "time" and isinstance(value, str) or name == "num_updates" and value == self._step()
            if name != "time_elapsed" and not own:
                row[self._metric("time", name, value)] = value
        for name, value in stats.items():
            if value is not None:
                row[self._metric("stats", name, value)] = value
        logger.log(row, self._step())
        if len(self._columns) != self._written:
            self._write_document()

    def _log_quick(self, row):
        """Log a row of :meth:`StatsLog.quick`: its columns are known, and are numbers."""
        shape = self.stats_log.shape
        if self._shape is not shape or self._looked + 0.01 < row[0]:
            self._looked = row[0]
            self._native()
            self._shape = shape
            self._row_names = ["time_elapsed"]
            self._row_names += [self._metric("time", name, 0.0) for name in shape[0]]
            self._row_names += [self._metric("stats", name, 0.0) for name in shape[1]]
            if len(self._columns) != self._written:
                self._write_document()
        self._logger.log(dict(zip(self._row_names, row)), self.stats_log.stats_update_counter)

    _written = 0
    _known = None
    #: The names that `_row_names` are the metrics of, and the seconds at which the file was last looked for.
    _shape, _looked = None, 0.0

    def _metric(self, group, name, value):
        """Return the metric for a value: a series has one kind, so a column of several kinds has several."""
        kind = "text" if isinstance(value, str) else ("vector" if getattr(value, "ndim", 0) or isinstance(value, list) else "scalar")
        found = self._metrics.get((group, name, kind))
        if found is not None:
            return found
        taken = set(self._metrics.values()) | {"time_elapsed"}
        metric = name
        for other in (f"{group}/{name}", f"{group}/{name}/{kind}"):
            if metric not in taken and metric:
                break
            metric = other
        column = next((one for one in self._columns if one["group"] == group and one["name"] == name), None)
        if column is None:
            column = {"group": group, "name": name, "metrics": {}}
            self._columns.append(column)
        column["metrics"][kind] = metric
        self._metrics[group, name, kind] = metric
        self._written = -1
        return metric

    def _step(self):
        return self.stats_log.stats_update_counter

    def _keep(self, path, there, kind, step, value=None):
        """Keep a file in the database, under its place in the folder of the database."""
        logger = self._native()
        base = os.path.dirname(os.path.realpath(logger.path))
        name = os.path.relpath(os.path.realpath(path), base).replace(os.sep, "/")
        self._database.native.add_artifact(
            name, os.path.abspath(there), run=logger.run_id, kind=kind, step=step, value=value, attempt=logger.attempt, replace=True
        )

    def _meta(self):
        models = self.model_log
        meta = {
            "log_paths": self.log_save_fname,
            "experiment_dir": self.experiment_dir,
            "config_fname": getattr(self, "config_copy", "config_dict.yaml not written"),
            "eval_id": self.base_str,
            "model_type": models.model_type,
            "config_dict": self.config_dict,
        }
        if models.save_every_k_ckpt is not None or models.save_top_k_ckpt is not None:
            meta["ckpt_time_to_track"] = models.ckpt_time_to_track
        if models.save_top_k_ckpt is not None:
            meta["top_k_metric_name"] = models.top_k_metric_name
        if models.stored_model:
            meta["model_ckpt"] = models.final_model_save_fname
        if models.init_model_saved:
            meta["init_ckpt"] = models.init_model_save_fname
        if models.every_k_ckpt_list:
            meta["every_k_storage_time"] = models.every_k_storage_time
            meta["every_k_ckpt_list"] = models.every_k_ckpt_list
        if models.top_k_ckpt_list:
            for name in ("top_k_storage_time", "top_k_ckpt_list", "top_k_performance"):
                meta[name] = getattr(models, name)
        if self.figure_log.paths:
            meta["fig_storage_paths"] = self.figure_log.paths
        if self.extra_log.paths:
            meta["extra_storage_paths"] = self.extra_log.paths
        return meta

    def _write_document(self):
        """Write what the log says of itself, if that changed."""
        logger = self._native()
        document = {
            "version": 1,
            "seed_id": self.seed_id,
            "columns": self._columns,
            "sessions": self.stats_log.sessions,
            "meta": self._meta(),
            "models": self.model_log.state(),
            "figures": self.figure_log.counter,
            "extras": self.extra_log.counter,
        }
        text = json.dumps(mle._mle.Db.as_document(document), sort_keys=True)
        if text != self._known:
            name = _store.document_name(logger.path, self.experiment_dir, self.seed_id)
            self._database.native.add_artifact(
                name, text.encode(), run=logger.run_id, kind="extra", attempt=logger.attempt, replace=True
            )
            self._known = text
        self._written = len(self._columns)

    # HDF5 -----------------------------------------------------------------------------------------------------------

    def _mirror(self, only_meta=False):
        """Bring the HDF5 file up to date."""
        if not _store.mirrors():
            return
        if _store.mirrors_later() and "h5py" not in sys.modules:
            # A script that has HDF5 itself may read what it has saved.
            return
        if not _hdf5.can_write():
            return
        path = self.log_save_fname
        if self._started_over and os.path.isfile(path):
            # What an earlier run left would be mixed with ours. One that the database does not have is put aside.
            if _is_ours(path):
                os.remove(path)
            else:
                os.replace(path, path + ".old")
        self._started_over = False
        log = {"meta": self._meta(), "stats": {}, "time": {}}
        if not only_meta:
            log.update(self.stats_log.columns())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with _hdf5.opened(path, "a") as file:
            file.attrs["mle_run"] = self._native().run_id
            _hdf5.write_log(file, self.seed_id, log, append=True)

    # Going on -------------------------------------------------------------------------------------------------------

    def _reload(self):
        _read.flush()
        for path in _store.candidates(self.experiment_dir):
            with mle.open(path, create=False) as db:
                found = _store.runs_of(db, self.experiment_dir).get(self.seed_id)
                if found is not None:
                    run, document = found
                    self._restore(_store.read_runs(db, [found])[0], document)
                    self._stored = (os.path.realpath(path), run)
                    return
        seeds = _read.seeds_of_folder(self.experiment_dir)
        if self.seed_id not in seeds:
            have = ", ".join(seeds) or "nothing"
            raise FileNotFoundError(f"there is no log of {self.seed_id} in {self.experiment_dir} to go on with: it has {have}")
        self._import(seeds[self.seed_id])

    def _restore(self, log, document):
        self.stats_log.restore(log, document["sessions"])
        self.model_log.restore(document["models"])
        self.figure_log.restore(_as_list(document["meta"].get("fig_storage_paths", [])), document["figures"])
        self.extra_log.restore(_as_list(document["meta"].get("extra_storage_paths", [])), document["extras"])
        self._columns = document["columns"]
        self._metrics = {
            (column["group"], column["name"], kind): metric
            for column in self._columns
            for kind, metric in column["metrics"].items()
        }
        if self.config_fname is None and not self.config_dict:
            self.config_dict = document["meta"].get("config_dict") or {}

    def _import(self, log):
        """Go on with a log that is in HDF5 alone: its rows go to the database."""
        meta = log["meta"]
        self.stats_log.restore(log, [])
        models = {
            name: _as_list(meta[name]) for name in ("every_k_storage_time", "every_k_ckpt_list") if name in meta
        }
        for name in ("top_k_performance", "top_k_storage_time", "top_k_ckpt_list"):
            if name in meta:
                models[name] = _as_list(meta[name])
        self.model_log.restore(models)
        self.model_log.init_model_saved = "init_ckpt" in meta
        numbers = [int(os.path.splitext(path)[0].rpartition("_k_")[2]) for path in models.get("every_k_ckpt_list", [])]
        self.model_log.model_save_counter = max(numbers, default=int("model_ckpt" in meta))
        for files, name in ((self.figure_log, "fig_storage_paths"), (self.extra_log, "extra_storage_paths")):
            paths = _as_list(meta.get(name, []))
            files.restore(paths, len(paths))
        counter = self.stats_log.stats_update_counter
        clocks, stats = self.stats_log.clock_tracked, self.stats_log.stats_tracked
        for row in range(counter):
            self.stats_log.stats_update_counter = row + 1
            self._log(
                {name: column[row] for name, column in clocks.items() if column[row] is not None},
                {name: column[row] for name, column in stats.items()},
            )
        self.stats_log.stats_update_counter = counter

    # Printing -------------------------------------------------------------------------------------------------------

    def _print(self, clocks, stats, model, plot_fig, extra_obj):
        every = self.print_every_k_updates
        if not self.verbose or every is None or self._step() % every != 0:
            return
        models = self.model_log
        print_storage(
            self.figure_log.paths[-1] if plot_fig is not None else None,
            self.extra_log.paths[-1] if extra_obj is not None else None,
            models.init_model_save_fname if models.init_model_saved else None,
            models.final_model_save_fname if model is not None else None,
            models.every_k_ckpt_list if models.stored_every_k and model is not None else None,
            models.top_k_ckpt_list[models.top_k_slot] if models.stored_top_k and model is not None else None,
            self.print_counter == 0,
        )
        times = self.time_to_print if self.time_to_print is not None else self.stats_log.clock_to_track
        whats = self.what_to_print if self.what_to_print is not None else self.stats_log.stats_to_track
        print_update(times, whats, clocks, stats, self.print_counter == 0)
        self.print_counter += 1


def flush_all():
    """Write what open loggers have not written."""
    for logger in list(_open):
        if logger._is_gone():
            logger._drop()
        else:
            logger._native().flush()
            logger._write_document()


def _close_all():
    error = getattr(sys, "last_value", None)
    for logger in list(_open):
        if logger._is_gone() or not logger._logger.is_own:
            logger._drop()
        elif error is not None and not isinstance(error, SystemExit):
            logger.fail(f"{type(error).__name__}: {error}")
        else:
            logger._native().flush()
            logger._write_document()
            logger._drop()


def _seed_label(seed_id):
    if isinstance(seed_id, str):
        return seed_id
    if hasattr(seed_id, "__index__"):
        return f"seed_{int(seed_id)}"
    raise TypeError(f"seed_id {seed_id!r} is neither a whole number nor a text")


def _seed_number(label):
    digits = label.rpartition("_")[2]
    return int(digits) if digits.isdigit() and len(digits) < 19 else 0


def _identity(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_ours(path):
    try:
        with _hdf5.opened(path) as file:
            return "mle_run" in file.attrs
    except OSError:
        return False


def _as_list(value):
    return [value] if isinstance(value, str) else [one.item() if hasattr(one, "item") else one for one in value]
