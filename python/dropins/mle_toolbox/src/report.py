"""Reports of experiments: Markdown, one HTML page, PDF."""

from __future__ import annotations

import base64
import html
import itertools
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..config import mle_config
from ..dot import plain

_HIDDEN = ("purpose", "project_name", "loaded_config", "single_job_args", "meta_job_args", "job_spec_args")


class FigureGenerator:
    """Figures of an experiment's folder.

    Parameters
    ----------
    experiment_dir : str
        Figures go to `figures/` in it.
    meta_log_fname, hyper_log_fname : str
        The logs; of a single config, without a merged log, its own is taken.
    """

    def __init__(
        self,
        experiment_dir: str,
        meta_log_fname: str = "meta_log.hdf5",
        hyper_log_fname: str = "hyper_log.pkl",
        dpi: int = 300,
    ) -> None:
        self.experiment_dir = experiment_dir
        self.figures_dir = os.path.join(experiment_dir, "figures")
        self.dpi = dpi
        self.meta_log = self._load(os.path.join(experiment_dir, meta_log_fname))
        path = os.path.join(experiment_dir, hyper_log_fname)
        self.hyper_log: Any = None
        if os.path.isfile(path):
            from ..results import load_hyper_log

            self.hyper_log = load_hyper_log(path)

    def _load(self, path: str) -> Any:
        from mle_logging import load_log

        if os.path.isfile(path):
            return load_log(path, aggregate_seeds=True)
        for name in sorted(os.listdir(self.experiment_dir)):
            logs = os.path.join(self.experiment_dir, name, "logs")
            if os.path.isdir(logs) and any(one.endswith(".hdf5") for one in os.listdir(logs)):
                return load_log(os.path.join(self.experiment_dir, name))
        return None

    def generate_all_figures(self) -> List[str]:
        """Draw all; return the files."""
        os.makedirs(self.figures_dir, exist_ok=True)
        return self.generate_1D_figures() + self.generate_2D_figures()

    def generate_1D_figures(self) -> List[str]:
        """Draw each metric over the first clock, a line for each eval: `<metric>_1d.png`."""
        if self.meta_log is None:
            return []
        from ..visualize._draw import finish
        from ..visualize.static import visualize_1D_lcurves

        log, one = self.meta_log, None
        if "stats" in log and not hasattr(log, "eval_ids"):
            log = _Alone({"run": log})
        elif "stats" not in log[log.eval_ids[0]]:
            log = _Alone({f"{name}": log[name][seed] for name in log.eval_ids for seed in log[name]})
        one = log[log.eval_ids[0]]
        clocks = [name for name in one["time"] if name not in ("time", "time_elapsed", "num_updates")] or ["num_updates"]
        files = []
        for metric in one["stats"]:
            values = one["stats"][metric]
            values = values["mean"] if isinstance(values, Mapping) else values
            if getattr(values, "dtype", None) is not None and values.dtype.kind not in "fiu":
                continue
            path = os.path.join(self.figures_dir, f"{metric.replace('/', '_')}_1d.png")
            fig, ax = visualize_1D_lcurves(log, clocks[0], metric, smooth_window=1, plot_title=metric, plot_std_bar=True)
            finish(fig, ax, path)
            files.append(path)
        return files

    def generate_2D_figures(self) -> List[str]:
        """Draw each metric over each pair of two to four parameters, the others fixed at each of their values."""
        if self.hyper_log is None or not 2 <= len(self.hyper_log.search_vars) <= 4:
            return []
        from ..visualize import visualize_2D_grid

        names, frame, files = self.hyper_log.search_vars, self.hyper_log.hyper_log, []
        for metric in self.hyper_log.search_metrics:
            for pair in itertools.combinations(names, 2):
                rest = [name for name in names if name not in pair]
                for values in itertools.product(*(self.hyper_log.unique(name) for name in rest)):
                    fixed = dict(zip(rest, values))
                    seen = frame
                    for name, value in fixed.items():
                        seen = seen[seen[name] == value]
                    if seen[metric].notna().sum() == 0:
                        continue
                    words = [metric, *pair, *(f"{name}_{value}" for name, value in fixed.items()), "2d"]
                    safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in "_".join(words))
                    path = os.path.join(self.figures_dir, safe + ".png")
                    visualize_2D_grid(frame, fixed, pair, metric, metric, str(fixed or ""), fname=path)
                    files.append(path)
        return files


class _Alone(dict):
    """Logs by name, as `MetaLog` has them."""

    @property
    def eval_ids(self) -> List[str]:
        return list(self)


class ReportGenerator:
    """The report of an experiment: `<experiment_dir>/reports/<id>.md`, `.html` and, with `pdf_gen`, `.pdf`.

    Parameters
    ----------
    e_id : str
    experiment_data : dict
        As :meth:`mle_monitor.MLEProtocol.get` returns it.
    """

    def __init__(self, e_id: str, experiment_data: Mapping[str, Any], logger: Any = None, pdf_gen: bool = False) -> None:
        self.e_id = str(e_id)
        self.data = plain(experiment_data)
        self.logger = logger
        self.pdf_gen = pdf_gen
        self.experiment_dir = str(self.data["experiment_dir"])
        if not os.path.isdir(self.experiment_dir):
            raise FileNotFoundError(f"the folder of experiment {e_id}, {self.experiment_dir!r}, is not there")
        self.reports_dir = os.path.join(self.experiment_dir, "reports")

    def _tables(self) -> List[Tuple[str, List[Tuple[str, str]]]]:
        shown = [(key, _text(value)) for key, value in self.data.items() if key not in _HIDDEN]
        tables = [("Experiment Meta-Data", [("purpose", _text(self.data.get("purpose"))), *shown])]
        for key, title in (("meta_job_args", "Meta-Job Arguments"), ("single_job_args", "Single-Job Arguments")):
            if self.data.get(key):
                tables.append((title, [(name, _text(value)) for name, value in self.data[key].items()]))
        told = self.data.get("job_spec_args")
        if told:
            rows = [("metrics", _text(told.get("search_logging", {}).get("eval_metrics")))]
            rows.append(("type", _text(told.get("search_config", {}).get("search_type", "Grid"))))
            for kind, space in (told.get("search_config", {}).get("search_params") or {}).items():
                rows += [(f"{name} ({kind})", _text(value)) for name, value in (space or {}).items()]
            tables.append(("Search", rows))
        for config in (self.data.get("loaded_config") or [])[:1]:
            for section in ("train_config", "model_config", "log_config"):
                if isinstance(config, dict) and isinstance(config.get(section), dict):
                    rows = [(name, _text(value)) for name, value in config[section].items()]
                    tables.append((f"Base Config: {section}", rows))
        return tables

    def generate_reports(self) -> List[str]:
        """Draw the figures and write the reports; return the reports' files."""
        os.makedirs(self.reports_dir, exist_ok=True)
        figures = FigureGenerator(self.experiment_dir).generate_all_figures()
        title = f"{self.data.get('project_name', 'default')}: experiment {self.e_id}"
        tables = self._tables()
        paths = []
        for ending, text in (("md", self._markdown(title, tables, figures)), ("html", self._html(title, tables, figures))):
            paths.append(os.path.join(self.reports_dir, f"{self.e_id}.{ending}"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        if self.pdf_gen:
            paths.append(os.path.join(self.reports_dir, f"{self.e_id}.pdf"))
            self._pdf(paths[-1], title, tables, figures)
        if self.logger is not None:
            self.logger.info("reports: %s", ", ".join(paths))
        return paths

    def _markdown(self, title: str, tables: List[Any], figures: List[str]) -> str:
        lines = [f"# {_cell(title)}", ""]
        for head, _ in tables:
            lines.append(f"* [{head}](#{''.join(c for c in head.lower().replace(' ', '-') if c.isalnum() or c in '-_')})")
        lines += ["* [Figures](#figures)", ""]
        for head, rows in tables:
            lines += [f"## {head}", "", "| key | value |", "| --- | --- |"]
            lines += [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows]
            lines.append("")
        lines += ["## Figures", ""]
        for path in figures:
            place = html.escape(os.path.relpath(path, self.reports_dir).replace(os.sep, "/"), quote=True)
            lines += [f'<img src="{place}" width="40%">', ""]
        return "\n".join(lines)

    @staticmethod
    def _html(title: str, tables: List[Any], figures: List[str]) -> str:
        parts = [f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title>"]
        parts.append("<style>body{font-family:sans-serif;margin:2em}td,th{border:1px solid #ccc;padding:.2em .6em}")
        parts.append("table{border-collapse:collapse}img{width:350px}</style></head><body>")
        parts.append(f"<h1>{html.escape(title)}</h1>")
        for head, rows in tables:
            parts.append(f"<h2>{html.escape(head)}</h2><table>")
            parts += [f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>" for key, value in rows]
            parts.append("</table>")
        parts.append("<h2>Figures</h2>")
        for path in figures:
            with open(path, "rb") as file:
                # Inside the page, so that it can be sent alone.
                parts.append(f'<img src="data:image/png;base64,{base64.b64encode(file.read()).decode()}">')
        return "".join(parts) + "</body></html>\n"

    @staticmethod
    def _pdf(path: str, title: str, tables: List[Any], figures: List[str]) -> None:
        import textwrap

        import matplotlib.image
        from matplotlib.backends.backend_pdf import PdfPages
        from matplotlib.figure import Figure

        lines = [title, ""]
        for head, rows in tables:
            lines += ["", head, ""]
            for key, value in rows:
                lines += textwrap.wrap(f"{key}: {value}", 95, subsequent_indent="    ") or [key]
        with PdfPages(path) as pdf:
            for at in range(0, len(lines), 60):
                page = Figure(figsize=(8.27, 11.69))
                # A dollar sign is one, not a formula.
                text = "\n".join(lines[at : at + 60]).replace("$", r"\$")
                page.text(0.08, 0.95, text, va="top", family="monospace", fontsize=8)
                pdf.savefig(page)
            for image in figures:
                page = Figure(figsize=(8.27, 6))
                ax = page.add_axes((0.02, 0.02, 0.96, 0.96))
                ax.imshow(matplotlib.image.imread(image))
                ax.axis("off")
                pdf.savefig(page, dpi=150)


def _text(value: Any) -> str:
    return str(value)


def _cell(text: str) -> str:
    for letter, instead in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("\n", " "), ("\r", " ")):
        text = text.replace(letter, instead)
    return text


def report(cmd_args: Any) -> List[str]:
    """Do what `mle-toolbox report` does: of the experiment named, or the last, or one that is asked for.

    Parameters
    ----------
    cmd_args
        May have `use_last_id` and `experiment_id`.
    """
    from mle_monitor import MLEProtocol

    protocol = MLEProtocol(mle_config.general.local_protocol_fname)
    named: Optional[str] = getattr(cmd_args, "experiment_id", None)
    if named in (None, "no-id-given"):
        named = str(protocol.last_experiment_id) if getattr(cmd_args, "use_last_id", False) else None
    if named is None:
        protocol.summary(tail=10)
        named = protocol.ask_for_e_id("report")
    if named is None:
        raise ValueError("which experiment is meant is not known; use -e_id ID or --use_last_id")
    data: Dict[str, Any] = protocol.get(named)
    if not data:
        raise KeyError(f"there is no experiment {named} in {protocol.protocol_fname!r}")
    paths = ReportGenerator(named, data, pdf_gen=True).generate_reports()
    protocol.update(named, "report_generated", True)
    return paths
