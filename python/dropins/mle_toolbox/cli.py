"""`mle-toolbox`: the verbs of the toolbox, on our protocol and queue."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, List, Optional

from .config import PATH, TEMPLATE, mle_config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mle-toolbox", description="Experiments from files", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="command", metavar="VERB")

    run = verbs.add_parser("run", help="run an experiment file", allow_abbrev=False)
    run.add_argument("config_fname", help="the experiment file: YAML or JSON")
    run.add_argument("-d", "--debug", action="store_true", help="remove no files of jobs")
    run.add_argument("-p", "--purpose", nargs="+", default=None, help="why it is done")
    run.add_argument("-np", "--no_protocol", action="store_true", help="write nothing to the protocol")
    run.add_argument("-nw", "--no_welcome", action="store_true", help="say less")
    run.add_argument("-resource", "--resource_to_run", default=None, help="where: local, slurm-cluster, sge-cluster")
    run.add_argument("-train_fname", "--base_train_fname", default=None, help="another script")
    run.add_argument("-train_config", "--base_train_config", default=None, help="another base config")
    run.add_argument("-exp_dir", "--experiment_dir", default=None, help="another folder for results")

    report = verbs.add_parser("report", help="write the report of an experiment", allow_abbrev=False)
    report.add_argument("-e_id", "--experiment_id", default="no-id-given", help="its id")
    report.add_argument("-use_last", "--use_last_id", action="store_true", help="of the last one")

    verbs.add_parser("monitor", help="show the protocol and this machine, until Ctrl-C")
    verbs.add_parser("protocol", help="list the last 30 experiments")
    init = verbs.add_parser("init", help=f"write {PATH}")
    init.add_argument("-f", "--force", action="store_true", help="also when it is there")
    return parser


def main(words: Optional[List[str]] = None) -> int:
    """Run a command line; return its exit code."""
    import mle

    parser = _parser()
    told = parser.parse_args(words)
    if told.command is None:
        parser.print_help()
        return 0
    try:
        return _do(told)
    except (mle.Error, ValueError, KeyError, OSError, NotImplementedError, RuntimeError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"mle-toolbox: {text}", file=sys.stderr)
        return 2 if isinstance(error, (ValueError, FileNotFoundError)) else 1


def _do(told: Any) -> int:
    from mle_monitor import MLEDashboard, MLEProtocol, MLEResource

    if told.command == "run":
        from .launch.experiment import run

        return run(told)
    if told.command == "report":
        from .src.report import report

        print("\n".join(report(told)))
        return 0
    if told.command == "init":
        path = os.path.expanduser(PATH)
        if os.path.exists(path) and not told.force:
            raise ValueError(f"{path} is there already; --force replaces it")
        with open(path, "w", encoding="utf-8") as file:
            file.write(TEMPLATE)
        print(path)
        return 0
    protocol = MLEProtocol(mle_config.general.local_protocol_fname)
    if told.command == "protocol":
        protocol.summary(tail=30, full=True)
    else:
        MLEDashboard(protocol, MLEResource("local")).live()
    return 0


if __name__ == "__main__":
    sys.exit(main())
