"""`python -m mle.integrations FILE STUDY STRATEGY …`: propose points to a study of `mle run` from a process of its own."""

from __future__ import annotations

import argparse
import sys

import mle
from mle.integrations._outside import study_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from ._outside import OutsideStrategy


def strategy(name: str, settings: Dict[str, Any]) -> OutsideStrategy:
    """Return the strategy of a name such as optuna.TPESampler or nevergrad.NGOpt.

    Raises
    ------
    InvalidError
        For a name or a setting that the library does not have.
    """
    library, _, of = name.partition(".")
    if library == "nevergrad" and of:
        return mle.integrations.NevergradStrategy(of, **settings)
    if library == "optuna" and of:
        import optuna

        made = getattr(optuna.samplers, of, None)
        if not of.endswith("Sampler") or not isinstance(made, type):
            raise mle.InvalidError(f"Optuna has no sampler {of!r}", "such as optuna.TPESampler")
        return mle.integrations.OptunaStrategy(made(**settings))
    raise mle.InvalidError(f"strategy {name!r} is not known", "optuna.SAMPLER or nevergrad.OPTIMIZER")


def main(words: Optional[List[str]] = None) -> int:
    """Propose until the study takes no more."""
    import json

    parser = argparse.ArgumentParser(
        prog="python -m mle.integrations",
        description="Propose points to a study whose spec says `strategy: external`, until it takes no more.",
    )
    parser.add_argument("file", help="the .db file")
    parser.add_argument("study", help="the experiment's name or id")
    parser.add_argument("strategy", help="optuna.SAMPLER or nevergrad.OPTIMIZER")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an argument of the sampler or optimizer, as JSON or text"
    )
    given = parser.parse_args(words)
    settings: Dict[str, Any] = {}
    for word in given.set:
        key, equals, text = word.partition("=")
        if not equals:
            parser.error(f"--set {word}: KEY=VALUE is wanted")
        try:
            settings[key] = json.loads(text)
        except ValueError:
            settings[key] = text
    try:
        db = mle.open(given.file, create=False)
        made_of = strategy(given.strategy, settings)
        study = study_of(db, db.experiment_id(given.study))
        made = 0 if study is None else study.serve(made_of)
    except (mle.Error, TypeError, ImportError) as error:
        print(f"python -m mle.integrations: {error}", file=sys.stderr)
        if getattr(error, "hint", None):
            print(f"hint: {error.hint}", file=sys.stderr)  # type: ignore[union-attr]
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{made} points proposed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
