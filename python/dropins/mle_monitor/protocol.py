"""The protocol: experiments of a file, as mle-monitor shows them."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import mle

from . import _peer

logger = logging.getLogger("mle_monitor.protocol")

TYPES = ("hyperparameter-search", "multiple-configs", "single-config")
_STANDARD: Dict[str, Any] = {
    "purpose": "None provided",
    "project_name": "default",
    "exec_resource": "local",
    "experiment_dir": "experiments",
    "experiment_type": "single-config",
    "base_fname": "main.py",
    "config_fname": "base_config.yaml",
    "num_seeds": 1,
    "num_total_jobs": 1,
    "num_job_batches": 1,
    "num_jobs_per_batch": 1,
    "time_per_job": "00:01:00",
    "num_cpus": 1,
    "num_gpus": 0,
}
_STATUS = {
    "planned": "running",
    "running": "running",
    "complete": "completed",
    "cancelled": "aborted",
    "failed": "failed",
    "paused": "paused",
}
_STATES = {"running": "running", "completed": "complete", "aborted": "cancelled", "failed": "failed"}
#: Each object counts what ended under a key of its own, so that several at once do not overwrite each other.
_COUNT = "completed_jobs:"
_TIME = "%m/%d/%y %H:%M"


class MLEProtocol:
    """The experiments of a file.

    Parameters
    ----------
    protocol_fname : str
        The file, `~` for the home folder; made when it is not there. A protocol of mle-monitor, which is a JSON document,
        is taken over: its experiments with their ids go into a file of ours of this name, and it stays beside it with
        `.json` added.
    cloud_settings : dict, optional
        Its keys `use_protocol_sync` and `use_results_storage` must be false: nothing goes to a cloud.
    verbose : bool
        Say more in the log.

    Notes
    -----
    Each call is written at once, all or nothing, whoever else writes; `save` and `send_gcs` make no difference.
    """

    def __init__(
        self, protocol_fname: str, cloud_settings: Optional[Mapping[str, Any]] = None, verbose: bool = False
    ) -> None:
        self.protocol_fname = os.path.expanduser(os.fspath(protocol_fname))
        self.cloud_settings = cloud_settings or None
        self.use_gcs_protocol_sync = False
        self.use_gcs_protocol_storage = False
        #: Whether the last look at a cloud went well: there is none.
        self.accessed_gcs = False
        logging.getLogger("mle_monitor").setLevel(logging.INFO if verbose else logging.WARNING)
        wanted = [key for key in ("use_protocol_sync", "use_results_storage") if (cloud_settings or {}).get(key)]
        if wanted:
            raise _no_cloud(" and ".join(wanted))
        document = _peer.read(self.protocol_fname)
        if document is not None:
            kept = _peer.replace(self.protocol_fname, document)
            logger.warning("%s was a protocol of mle-monitor; it is now %s", self.protocol_fname, kept)
        folder = os.path.dirname(os.path.abspath(self.protocol_fname))
        os.makedirs(folder, exist_ok=True)
        self.db = mle.open(self.protocol_fname, create=True)
        self.added_experiment_id: Optional[int] = None
        self.completed_jobs_counter = 0
        self._count_key = _COUNT + os.urandom(4).hex()

    # What there is.

    def __len__(self) -> int:
        return int(self.db.sql("SELECT count(*) FROM experiments").one())

    @property
    def experiment_ids(self) -> List[str]:
        """The ids of all experiments, as text."""
        return [str(found) for found in self.db.sql("SELECT id FROM experiments ORDER BY id")["id"]]

    @property
    def last_experiment_id(self) -> int:
        """The id of the newest experiment, 0 when there is none."""
        return int(self.db.sql("SELECT coalesce(max(id), 0) FROM experiments").one())

    @property
    def standard_keys(self) -> List[str]:
        """What every experiment says."""
        return list(_STANDARD)

    @property
    def standard_default(self) -> Dict[str, Any]:
        """What an experiment says that was not told."""
        return dict(_STANDARD)

    def load(self, pull_gcs: bool = True) -> None:
        """Nothing to do: every call sees the file as it is."""

    def save(self, send_gcs: bool = True) -> None:
        """Nothing to do: every call has written."""

    def _known(self, experiment_id: Union[int, str]) -> Optional[int]:
        text = str(experiment_id)
        return int(text) if text.isdigit() and text in self.experiment_ids else None

    def _id(self, experiment_id: Union[int, str, None]) -> int:
        wanted = self.last_experiment_id if experiment_id is None else experiment_id
        found = self._known(wanted)
        if found is None:
            raise KeyError(f"there is no experiment {wanted} in {self.protocol_fname!r}")
        return found

    def get(self, experiment_id: Union[int, str, None] = None, var_name: Optional[str] = None) -> Any:
        """Return an experiment, the last when none is named, or one thing it says; False for an unknown experiment.

        Raises
        ------
        KeyError
            When it does not say that.
        """
        wanted = self._known(self.last_experiment_id if experiment_id is None else experiment_id)
        if wanted is None:
            return False
        record = self._record(self.db.native.experiment(wanted))
        return record if var_name is None else record[var_name]

    @staticmethod
    def _record(found: Mapping[str, Any]) -> Dict[str, Any]:
        """Return what mle-monitor's file would say of an experiment, also of one that was made by other means."""
        extra = dict(found["extra"])
        counts = [int(extra.pop(key)) for key in list(extra) if key.startswith(_COUNT)]
        record = dict(_STANDARD) if "experiment_type" not in extra else {}
        if record:
            record.update(
                purpose=found["purpose"] or _STANDARD["purpose"],
                project_name=found["project"],
                experiment_dir=found["name"],
                base_fname=found["script_name"] or "",
                config_fname=found["spec_name"] or "",
                num_total_jobs=found["runs"],
                experiment_type=found["kind"] if found["kind"] in TYPES else "single-config",
                completed_jobs=found["runs_complete"],
                start_time=_time(found["started_at_ms"] or found["created_at_ms"]),
                stop_time=_time(found["ended_at_ms"]) if found["ended_at_ms"] else "-",
                duration=_duration(found["started_at_ms"], found["ended_at_ms"]),
                git_hash=found["git_commit"] or "no-git-repo",
            )
        record.update(extra)
        record["completed_jobs"] = int(record.get("completed_jobs") or 0) + sum(counts)
        for key in ("retrieved_results", "report_generated"):
            record.setdefault(key, False)
        # Both names are in use.
        stored = bool(record.get("stored_in_cloud") or record.get("stored_in_gcloud"))
        record["stored_in_cloud"] = record["stored_in_gcloud"] = stored
        # What was set by hand goes before what the file's own state says.
        record["job_status"] = extra.get("job_status_set") or _STATUS[found["state"]]
        record.pop("job_status_set", None)
        return record

    # What changes it.

    def add(
        self,
        standard: Optional[Mapping[str, Any]] = None,
        extra: Optional[Mapping[str, Any]] = None,
        save: bool = True,
        send_gcs: bool = True,
    ) -> int:
        """Add an experiment that runs; return its id.

        Parameters
        ----------
        standard : dict
            Any of `standard_keys`; not changed. `config_fname` is a file, or a list of files.
        extra : dict, optional
            Anything else to keep with it.

        Raises
        ------
        ValueError
            For an unknown type of experiment, or a bad `time_per_job`.
        FileNotFoundError
            When a config is not there. Nothing was written then.
        """
        record = {**_STANDARD, **(standard or {})}
        if record["experiment_type"] == "single":
            record["experiment_type"] = "single-config"
        if record["experiment_type"] not in TYPES:
            raise ValueError(f"experiment_type {record['experiment_type']!r} is none of {', '.join(TYPES)}")
        configs = record["config_fname"]
        needs_config = (standard or {}).get("config_fname") is not None
        loaded = []
        for path in configs if isinstance(configs, (list, tuple)) else [configs]:
            # Only a config that was named has to be there.
            if needs_config or os.path.exists(path):
                loaded.append(_load_config(os.fspath(path)))
        now = datetime.datetime.now()
        estimate = _job_time(record["time_per_job"]) * int(record["num_job_batches"])
        hours, minutes = divmod(int(estimate.total_seconds()) // 60, 60)
        days, hours = divmod(hours, 24)
        record.update(extra or {})
        record.update(
            {
                "loaded_config": loaded,
                "e-hash": _hash(configs, now),
                "retrieved_results": False,
                "stored_in_cloud": False,
                "report_generated": False,
                "completed_jobs": 0,
                "start_time": now.strftime(_TIME),
                "duration": f"{days}:{hours:02}:{minutes:02}",
                "stop_time": (now + estimate).strftime(_TIME),
            }
        )
        script = record["base_fname"] if os.path.isfile(str(record["base_fname"])) else None
        added = self.db.native.add_experiment(
            os.path.basename(os.path.normpath(str(record["experiment_dir"]))) or "experiment",
            purpose=str(record["purpose"]),
            project=str(record["project_name"]),
            extra=record,
            script=script,
            argv=list(sys.argv),
        )
        commit = self.db.native.experiment(added)["git_commit"]
        self.db.native.update_extra(added, {"git_hash": commit or "no-git-repo"})
        self.db.native.set_state(added, "running")
        self.added_experiment_id = added
        self.completed_jobs_counter = 0
        return added

    def abort(self, experiment_id: Union[int, str], save: bool = True, send_gcs: bool = True) -> None:
        """Mark an experiment as aborted, and cancel its jobs when they are in the same file."""
        found = self._id(experiment_id)
        jobs = self.db.sql("SELECT id FROM jobs WHERE experiment_id = ? AND state IN ('queued', 'running')", [found])["id"]
        if len(jobs):
            self.db.native.cancel_jobs([int(job) for job in jobs])
        self._move(found, "aborted")

    def delete(self, experiment_id: Union[int, str], save: bool = True, send_gcs: bool = True) -> None:
        """Hide an experiment. Its id is not used again, and `mle protocol undelete` brings it back."""
        self.db.native.delete_experiment(self._id(experiment_id))

    def update_progress_bar(
        self,
        experiment_id: Union[int, str, None] = None,
        completed_increment: int = 1,
        pull_gcs: bool = False,
        save: bool = True,
        send_gcs: bool = False,
    ) -> None:
        """Count jobs as completed: of an experiment, or of the one that was added here last. Several objects may at once."""
        wanted = self.added_experiment_id if experiment_id is None else self._id(experiment_id)
        if wanted is None:
            return
        if wanted == self.added_experiment_id:
            self.completed_jobs_counter += completed_increment
        before = self.db.native.experiment(wanted)["extra"].get(self._count_key) or 0
        self.db.native.update_extra(wanted, {self._count_key: int(before) + completed_increment})

    def complete(self, experiment_id: Union[int, str, None] = None, report: bool = False, save: bool = True) -> None:
        """Mark an experiment as completed, with its real stop time and duration. One that was aborted stays so."""
        found = self._id(self.added_experiment_id if experiment_id is None else experiment_id)
        if self.status(found) == "aborted":
            logger.warning("experiment %d was aborted; it stays so", found)
            return
        shown = self.db.native.experiment(found)
        record = self._record(shown)
        now = datetime.datetime.now()
        began = datetime.datetime.fromtimestamp((shown["started_at_ms"] or shown["created_at_ms"]) / 1000)
        counts = {key: None for key in shown["extra"] if key.startswith(_COUNT)}
        changes = {
            **{key: 0 for key in counts},
            "completed_jobs": record["num_total_jobs"],
            "stop_time": now.strftime(_TIME),
            "duration": str(datetime.timedelta(seconds=int((now - began).total_seconds()))),
            "report_generated": bool(report),
            "stored_in_cloud": False,
        }
        self.db.native.update_extra(found, changes)
        self._move(found, "completed")

    def _move(self, found: int, status: str) -> None:
        """Set a status: the file's own state where that may go there, else only what is shown."""
        state = _STATES.get(status)
        extra = self.db.native.experiment(found)["extra"]
        if state is not None:
            try:
                self.db.native.set_state(found, state)
                if extra.get("job_status_set") is not None:
                    self.db.native.update_extra(found, {"job_status_set": None})
                return
            except mle.ConflictError:
                if _STATUS[self.db.native.experiment(found)["state"]] == status:
                    return
        self.db.native.update_extra(found, {"job_status_set": status})

    def status(self, experiment_id: Union[int, str]) -> str:
        """Return "running", "completed", "aborted", "failed" or "paused"."""
        return str(self.get(self._id(experiment_id), "job_status"))

    def update(
        self,
        experiment_id: Union[int, str],
        var_name: Union[str, Sequence[str]],
        var_value: Any,
        save: bool = True,
        send_gcs: bool = True,
    ) -> None:
        """Change what an experiment says: one name and a value, or as many of both, in one transaction.

        Raises
        ------
        ValueError
            When there are not as many values as names.
        """
        found = self._id(experiment_id)
        if isinstance(var_name, str):
            changes = {var_name: var_value}
        else:
            if len(var_name) != len(var_value):
                raise ValueError(f"there are {len(var_name)} names and {len(var_value)} values")
            changes = dict(zip(var_name, var_value))
        status = changes.pop("job_status", None)
        if "completed_jobs" in changes:
            extra = self.db.native.experiment(found)["extra"]
            changes.update({key: 0 for key in extra if key.startswith(_COUNT)})
        if "stored_in_gcloud" in changes:
            changes["stored_in_cloud"] = changes["stored_in_gcloud"]
        elif "stored_in_cloud" in changes:
            changes["stored_in_gcloud"] = changes["stored_in_cloud"]
        if changes:
            self.db.native.update_extra(found, changes)
        if status is not None:
            self._move(found, str(status))

    # What is looked at.

    def _records(self, tail: Optional[int] = None) -> List[Any]:
        """Return ids and records, oldest first."""
        ids = [int(text) for text in self.experiment_ids]
        if tail is not None:
            ids = ids[-tail:] if tail else []
        return [(found, self._record(self.db.native.experiment(found))) for found in ids]

    def summary(
        self, tail: Optional[int] = 5, verbose: bool = True, return_table: bool = False, full: bool = False
    ) -> Any:
        """Return the last experiments as a pandas frame, newest last, or as a table for the terminal, newest first.

        Parameters
        ----------
        tail : int or None
            So many; all when None.
        verbose : bool
            Print the table.
        return_table : bool
            Return the table: of rich, or text without it.
        full : bool
            With how many jobs are completed.

        Returns
        -------
        pandas.DataFrame, table or None
            None when there is no experiment.
        """
        records = self._records(tail)
        if not records:
            if verbose:
                print(f"no experiment in {self.protocol_fname}")
            return None
        table = _table(records, full) if verbose or return_table else None
        if verbose:
            _print(table)
        if return_table:
            return table
        import pandas

        rows = [
            {
                "ID": str(found),
                "Date": record["start_time"][:5],
                "Project": record["project_name"],
                "Purpose": str(record["purpose"])[:30],
                "Experiment Dir": record["experiment_dir"],
                "Status": record["job_status"],
                "Seeds": record["num_seeds"],
                "Resource": record["exec_resource"],
                "CPUs": record["num_cpus"],
                "GPUs": record["num_gpus"],
                "Type": record["experiment_type"],
                "Jobs": record["num_total_jobs"],
                "Completed Jobs": record["completed_jobs"],
            }
            for found, record in records
        ]
        return pandas.DataFrame(rows)

    def monitor(self) -> Dict[str, Any]:
        """Return what a dashboard shows.

        Returns
        -------
        dict
            total_data (counts by state, resource and storage), last_data and time_data (of the newest experiment),
            summary_data (experiments over time and by day), protocol_table. Counts are texts.
        """
        records = self._records()
        return {
            "total_data": _total(records),
            "last_data": _last(records),
            "time_data": _times(records),
            "summary_data": _by_day(records),
            "protocol_table": _table(records[-50:], True),
        }

    # What needs a cloud, or somebody at the terminal.

    def retrieve(self, experiment_id: Union[int, str], local_dir_name: Optional[str] = None) -> None:
        """Not available: results are where they were made."""
        raise _no_cloud("retrieve")

    def gcs_send(self) -> int:
        """Not available."""
        raise _no_cloud("gcs_send")

    def gcs_pull(self) -> int:
        """Not available."""
        raise _no_cloud("gcs_pull")

    def ask_for_e_id(self, action: str = "delete") -> Optional[str]:
        """Ask at the terminal for an id until it is one that is there; None for "N", no answer in 60 s, or no terminal.

        With "delete" and "abort" that is done, and it asks again.
        """
        while True:
            answer = _ask(f"{action} which experiment? an id, or N for none: ")
            if answer is None or answer.upper() in ("", "N"):
                return None
            if self._known(answer) is None:
                print(f"there is no experiment {answer}")
            elif action == "delete":
                self.delete(answer)
            elif action == "abort":
                self.abort(answer)
            else:
                return answer

    def ask_for_purpose(self) -> str:
        """Ask at the terminal why an experiment is done; "default" without an answer in 60 s, or without a terminal."""
        return _ask("why is this experiment done? ") or "default"


def _no_cloud(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"{what}: Google Cloud Storage is not available; the protocol is one file that can be copied, so leave it out of"
        " cloud_settings"
    )


def _ask(question: str) -> Optional[str]:
    import select

    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return None
    print(question, end="", flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], 60)
    return sys.stdin.readline().strip() if ready else None


def _load_config(path: str) -> Any:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"config_fname {path!r} is not there")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith((".json", ".yaml", ".yml", ".toml")):
        return {}
    return mle._mle.Db.parse_text(text, path)


def _hash(configs: Any, now: datetime.datetime) -> str:
    # The random part keeps two experiments of one second apart.
    words = json.dumps({"time": now.isoformat(), "config_fname": configs, "nonce": os.urandom(8).hex()}, default=str)
    return hashlib.md5(words.encode(), usedforsecurity=False).hexdigest()


def _job_time(text: object) -> datetime.timedelta:
    parts = str(text).split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise ValueError(f"time_per_job {text!r} is not days, hours and minutes as dd:hh:mm")
    return datetime.timedelta(days=int(parts[0]), hours=int(parts[1]), minutes=int(parts[2]))


def _time(at_ms: int) -> str:
    return datetime.datetime.fromtimestamp(at_ms / 1000).strftime(_TIME)


def _duration(began_ms: Optional[int], ended_ms: Optional[int]) -> str:
    if began_ms is None or ended_ms is None:
        return "-"
    return str(datetime.timedelta(seconds=(ended_ms - began_ms) // 1000))


def _total(records: List[Any]) -> Dict[str, str]:
    def count(key: str, *values: Any) -> str:
        return str(sum(record.get(key) in values for _, record in records))

    return {
        "total": str(len(records)),
        "run": count("job_status", "running"),
        "done": count("job_status", "completed"),
        "aborted": count("job_status", "aborted", "failed"),
        "sge": count("exec_resource", "sge-cluster"),
        "slurm": count("exec_resource", "slurm-cluster"),
        "gcp": count("exec_resource", "gcp-cloud"),
        "local": count("exec_resource", "local"),
        "report_gen": count("report_generated", True),
        "gcs_stored": count("stored_in_cloud", True),
        "retrieved": count("retrieved_results", True),
    }


def _last(records: List[Any]) -> Dict[str, str]:
    names = {
        "e_id": "", "job_status": "job_status", "e_dir": "experiment_dir", "e_type": "experiment_type",
        "e_script": "base_fname", "e_config": "config_fname", "report_gen": "report_generated", "resource": "exec_resource",
    }  # fmt: skip
    if not records:
        return dict.fromkeys(names, "-")
    found, record = records[-1]
    return {name: str(found) if not key else str(record.get(key, "-")) for name, key in names.items()}


def _times(records: List[Any]) -> Dict[str, Any]:
    names = {
        "num_seeds": "num_seeds", "total_jobs": "num_total_jobs", "completed_jobs": "completed_jobs",
        "total_batches": "num_job_batches", "jobs_per_batch": "num_jobs_per_batch", "time_per_batch": "time_per_job",
        "start_time": "start_time", "stop_time": "stop_time", "duration": "duration", "job_status": "job_status",
    }  # fmt: skip
    if not records:
        return {name: "-" for name in names}
    return {name: str(records[-1][1].get(key, "-")) for name, key in names.items()}


def _by_day(records: List[Any]) -> Dict[str, Any]:
    totals: Dict[str, List[int]] = {name: [] for name in ("all", *TYPES)}
    days: Dict[str, Dict[str, int]] = {}
    for _, record in records:
        kind = record["experiment_type"]
        for name, column in totals.items():
            column.append((column[-1] if column else 0) + (name in ("all", kind)))
        day = days.setdefault(str(record["start_time"])[:8], dict.fromkeys(totals, 0))
        day["all"] += 1
        if kind in day:
            day[kind] += 1
    return {
        "time": [record["start_time"] for _, record in records],
        "total_exp": totals,
        "day": list(days),
        "day_exp": {name: [day[name] for day in days.values()] for name in totals},
    }


_SHORT = {"hyperparameter-search": "search", "multiple-configs": "config", "single-config": "single"}
_PLACES = {"sge-cluster": "SGE", "slurm-cluster": "Slurm", "gcp-cloud": "GCP", "local": "Local", "ssh-node": "SSH"}
_ICONS = {"running": "…", "completed": "✔", "aborted": "✖", "failed": "✖", "paused": "‖"}


def _table(records: List[Any], full: bool) -> Any:
    """Return experiments, newest first, as a table of rich, or as text without it."""
    heads = ["", "ID", "Date", "Project", "Purpose", "Type", "Resource", "Seeds", "CPU", "GPU"] + ["Jobs"] * full
    rows = []
    for found, record in reversed(records):
        row = [
            _ICONS.get(record["job_status"], "?"),
            str(found),
            str(record["start_time"])[:5],
            str(record["project_name"])[:10],
            str(record["purpose"])[: 15 if full else 25],
            _SHORT.get(record["experiment_type"], record["experiment_type"]),
            _PLACES.get(record["exec_resource"], str(record["exec_resource"])),
            str(record["num_seeds"]),
            str(record["num_cpus"]),
            str(record["num_gpus"]),
        ]
        if full:
            done, total = record["completed_jobs"], record["num_total_jobs"] or 1
            row.append(f"{done}/{total} {'▬' * int(10 * min(1, done / total))} {done / total:.0%}")
        rows.append(row)
    return table_of(heads, rows)


def table_of(heads: List[str], rows: List[List[str]], title: str = "") -> Any:
    """Return a table of rich, or text without it."""
    try:
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
        lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in [heads, *rows]]
        return "\n".join(([title] if title else []) + lines)
    table = Table(title=title or None, box=None, pad_edge=False)
    for head in heads:
        table.add_column(head)
    for row in rows:
        # A text of the file is shown, not read as mark-up.
        table.add_row(*(Text(word) for word in row))
    return table


def _print(table: Any) -> None:
    if isinstance(table, str):
        print(table)
    else:
        from rich.console import Console

        Console().print(table)
