"""A dashboard for the terminal: the protocol, and what the machine is doing."""

from __future__ import annotations

import time
from typing import Any, Dict, List

from .protocol import MLEProtocol, table_of
from .resource import MLEResource


class MLEDashboard:
    """A dashboard for the terminal.

    Parameters
    ----------
    protocol : MLEProtocol
    resource : MLEResource
    """

    def __init__(self, protocol: MLEProtocol, resource: MLEResource) -> None:
        self.protocol = protocol
        self.resource = resource
        #: Use over time as this object has seen it: (seconds, cores, memory [GB]).
        self.history: List[Any] = []

    def _parts(self) -> List[Any]:
        used, said = self.resource.monitor(), self.protocol.monitor()
        util = used["util_data"]
        self.history.append((time.time(), util["cores_util"], util["mem_util"]))
        del self.history[:-120]
        head = f"{self.protocol.protocol_fname} · {self.resource.resource_name} · {util['time_date']} {util['time_hour']}"
        return [
            head,
            said["protocol_table"],
            _pairs("experiments", said["total_data"]),
            _pairs("last experiment", said["last_data"]),
            _pairs("its jobs", {key: value for key, value in said["time_data"].items() if key != "job_status"}),
            _machine(used),
            _use(used),
            f"cores in use  {_line([one[1] for one in self.history], util['cores'])}  {util['cores_util']}/{util['cores']}\n"
            f"memory in use {_line([one[2] for one in self.history], util['mem'])}  {util['mem_util']}/{util['mem']} GB",
        ]

    def snapshot(self) -> None:
        """Print it once."""
        parts = self._parts()
        try:
            from rich.console import Console
        except ImportError:
            print("\n\n".join(str(part) for part in parts))
            return
        console = Console()
        for part in parts:
            # Texts of the file are shown, not read as mark-up.
            console.print(part, markup=False, highlight=False)
            console.print()

    def live(self, pull_gcs: bool = False) -> None:
        """Show it, and look again every second, until Ctrl-C.

        Raises
        ------
        NotImplementedError
            With `pull_gcs`: Google Cloud Storage is not available.
        ImportError
            Without rich; :meth:`snapshot` needs nothing.
        """
        if pull_gcs:
            self.protocol.gcs_pull()
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        def shown() -> Any:
            return Group(*(Text(part) if isinstance(part, str) else part for part in self._parts()))

        try:
            with Live(shown(), screen=True, auto_refresh=False) as live:
                while True:
                    time.sleep(1)
                    live.update(shown(), refresh=True)
        except KeyboardInterrupt:
            pass


def _pairs(title: str, pairs: Dict[str, Any]) -> Any:
    return table_of(list(pairs), [[str(value) for value in pairs.values()]], title)


def _machine(used: Dict[str, Any]) -> Any:
    host, users = used["host_data"], used["user_data"]
    if "core_id" in host:
        return table_of(
            [f"C{core}" for core in host["core_id"]], [[f"{percent:.0f} %" for percent in host["percent_util"]]], "cores"
        )
    rows = [[str(column) for column in row] for row in zip(users["user"], users["total"], users["run"], users["wait"])]
    return table_of(["user", "jobs", "run", "wait"], rows[:13], "users")


def _use(used: Dict[str, Any]) -> Any:
    users = used["user_data"]
    if "pid" in users:
        columns = (users["pid"], users["p_name"], users["cpu_util"], users["mem_util"], users["cmdline"])
        rows = [[str(pid), name, f"{cpu} %", f"{mem} MB", line[:40]] for pid, name, cpu, mem, line in zip(*columns)]
        return table_of(["pid", "name", "CPU", "memory", "command"], rows[:6], "processes")
    host = used["host_data"]
    rows = [[str(column) for column in row] for row in zip(host["host_id"], host["total"], host["run"])]
    return table_of(["partition", "jobs", "run"], rows, "partitions")


def _line(values: List[float], top: float) -> str:
    """Return a line of blocks, the last 42 values as heights between 0 and `top`."""
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(blocks[min(7, max(0, int(8 * value / top)))] if top else "▁" for value in values[-42:])
