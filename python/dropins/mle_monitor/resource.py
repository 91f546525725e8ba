"""What a machine or a cluster is doing."""

from __future__ import annotations

import datetime
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

import mle

NAMES = ("local", "sge-cluster", "slurm-cluster", "gcp-cloud")
_SAMPLE_S = 0.2


class MLEResource:
    """What a machine or a cluster is doing.

    Parameters
    ----------
    resource_name : str
        "local" or "slurm-cluster". "sge-cluster" and "gcp-cloud" are known, but cannot be looked at yet.
    monitor_config : dict, optional
        `{"partitions": […]}` for Slurm.
    """

    def __init__(self, resource_name: str = "local", monitor_config: Optional[Mapping[str, Any]] = None) -> None:
        if resource_name not in NAMES:
            raise AssertionError(f"resource_name {resource_name!r} is none of {', '.join(NAMES)}")
        self.resource_name = resource_name
        self.monitor_config = dict(monitor_config or {})

    def monitor(self) -> Dict[str, Any]:
        """Look once.

        Returns
        -------
        dict
            resource_name; user_data: the busiest processes (`pid`, `p_name`, `mem_util` [MB], `cpu_util` [% of a core],
            `cmdline`; six by CPU, then six by memory) and their totals; host_data: each core's use [%]; util_data: cores
            and memory [GB], and how much of them is in use.

        Raises
        ------
        NotImplementedError
            For a resource that cannot be looked at yet.
        """
        if self.resource_name == "local":
            found = _local()
        elif self.resource_name == "slurm-cluster":
            found = _slurm(list(self.monitor_config.get("partitions", [])))
        else:
            raise NotImplementedError(
                f"what {self.resource_name!r} is doing cannot be looked at; 'local' and 'slurm-cluster' can"
            )
        return {"resource_name": self.resource_name, **found}


def _cpu_times() -> List[Tuple[int, int]]:
    """Return the busy and the whole time of each core since the start [ticks]."""
    times = []
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0].startswith("cpu") and words[0] != "cpu":
                ticks = [int(word) for word in words[1:9]]
                times.append((sum(ticks) - ticks[3] - ticks[4], sum(ticks)))
    return times


def _processes() -> Dict[int, Tuple[str, int, int]]:
    """Return the name, the CPU time [ticks] and the memory [bytes] of each process."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # It has ended since.
        head, _, tail = text.rpartition(")")
        words = tail.split()
        found[int(name)] = (head.partition("(")[2], int(words[11]) + int(words[12]), int(words[21]) * page)
    return found


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""


def _local() -> Dict[str, Any]:
    cores_before, before = _cpu_times(), _processes()
    began = time.monotonic()
    time.sleep(_SAMPLE_S)
    cores_after, after = _cpu_times(), _processes()
    ticks = (time.monotonic() - began) * os.sysconf("SC_CLK_TCK")
    percent = [
        round(100 * (busy - busy_before) / (whole - whole_before), 1) if whole > whole_before else 0.0
        for (busy_before, whole_before), (busy, whole) in zip(cores_before, cores_after)
    ]
    rows = [
        (pid, name, memory / 1e6, 100 * (used - before[pid][1]) / ticks)
        for pid, (name, used, memory) in after.items()
        if pid in before
    ]
    shown = sorted(rows, key=lambda row: -row[3])[:6] + sorted(rows, key=lambda row: -row[2])[:6]
    usage = mle.Resource().usage()
    memory_gb = usage["memory_mib"] / 1024
    free_gb = (usage["memory_free_mib"] or 0) / 1024
    now = datetime.datetime.now()
    host: Dict[str, Any] = {
        "core_id": list(range(len(percent))),
        "percent_util": percent,
        "cpu_count": len(percent),
        "logical_count": len(percent),
    }
    host.update(_gpus())
    return {
        "user_data": {
            "pid": [row[0] for row in shown],
            "p_name": [row[1] for row in shown],
            "mem_util": [round(row[2], 1) for row in shown],
            "cpu_util": [round(row[3], 1) for row in shown],
            "cmdline": [_command_line(row[0]) for row in shown],
            "total_cpu_util": round(sum(row[3] for row in rows), 1),
            "total_mem_util": round(sum(row[2] for row in rows), 1),
        },
        "host_data": host,
        "util_data": {
            "cores": len(percent),
            "cores_util": round(sum(percent) / 100, 2),
            "mem": round(memory_gb, 2),
            "mem_util": round(memory_gb - free_gb, 2),
            "time_date": now.strftime("%m/%d/%y"),
            "time_hour": now.strftime("%H:%M:%S"),
        },
    }


def _gpus() -> Dict[str, List[Any]]:
    """Return what NVIDIA's program says of GPUs; nothing where there is none."""
    import shutil
    import subprocess

    if shutil.which("nvidia-smi") is None:
        return {}
    asked = "index,name,utilization.gpu,memory.used,memory.total"
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader,nounits"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    rows = [[word.strip() for word in line.split(",")] for line in done.stdout.splitlines()]
    rows = [row for row in rows if len(row) == 5]
    if done.returncode != 0 or not rows:
        return {}

    def number(word: str) -> float:
        try:
            return float(word)
        except ValueError:
            return float("nan")  # "[N/A]"

    return {
        "gpu_id": [row[0] for row in rows],
        "gpu_name": [row[1] for row in rows],
        "gpu_load": [number(row[2]) for row in rows],
        "gpu_mem_util": [100 * number(row[3]) / number(row[4]) for row in rows],
        "gpu_mem_total": [number(row[4]) / 1024 for row in rows],
        "gpu_mem_used": [number(row[3]) / 1024 for row in rows],
    }


def _lines(words: List[str]) -> List[List[str]]:
    import shutil
    import subprocess

    if shutil.which(words[0]) is None:
        raise mle.NotFoundError(f"there is no program {words[0]}", "run this where Slurm's programs are")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise mle.FailedError(f"{words[0]} does not answer: {done.stderr.strip()}")
    return [line.split("|") for line in done.stdout.splitlines() if line]


def _slurm(partitions: List[str]) -> Dict[str, Any]:
    of = ["-p", ",".join(partitions)] if partitions else []
    jobs = _lines(["squeue", "-h", "-o", "%P|%u|%t|%N", *of])
    nodes = _lines(["sinfo", "--Node", "-h", "-o", "%N|%c|%O|%m|%e", *of])

    def by(column: int, label: str) -> Dict[str, List[Any]]:
        names = sorted({row[column] for row in jobs if row[column]})
        counts = [
            (
                name,
                sum(row[column] == name for row in jobs),
                sum(row[column] == name and row[2] == "R" for row in jobs),
                sum(row[column] == name and row[2] == "PD" for row in jobs),
            )
            for name in names
        ]
        counts.sort(key=lambda row: -row[1])
        return {
            label: [row[0] for row in counts],
            "total": [row[1] for row in counts],
            "run": [row[2] for row in counts],
            "wait": [row[3] for row in counts],
            "login": [0] * len(counts),
        }

    def number(word: str) -> float:
        try:
            return float(word)
        except ValueError:
            return 0.0  # "N/A" of a node that is down

    # A node of several partitions is listed for each.
    rows = {row[0]: row for row in nodes if len(row) == 5}.values()
    now = datetime.datetime.now()
    return {
        "user_data": by(1, "user"),
        "host_data": by(0, "host_id"),
        "node_data": by(3, "host_id"),
        "util_data": {
            "cores": int(sum(number(row[1]) for row in rows)),
            # The load is of runnable processes: no more of them than cores use one.
            "cores_util": round(sum(min(number(row[1]), number(row[2])) for row in rows), 2),
            "mem": round(sum(number(row[3]) for row in rows) / 1024, 2),
            "mem_util": round(sum(number(row[3]) - number(row[4]) for row in rows) / 1024, 2),
            "time_date": now.strftime("%m/%d/%y"),
            "time_hour": now.strftime("%H:%M:%S"),
        },
    }
