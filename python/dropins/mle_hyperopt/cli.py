"""The program `mle-search`."""

import argparse
import importlib.util
import os
import sys


def get_search_args(arguments=None):
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="mle-search", description="Search for the best config of a script's main(config)")
    parser.add_argument("exec_fname", metavar="SCRIPT", help="defines main(config), which returns the objective")
    parser.add_argument("-base", "--base_config", metavar="FILE", help="YAML of what is fixed")
    parser.add_argument("-search", "--search_config", metavar="FILE", default="search.yaml", help="YAML of the search [search.yaml]")
    parser.add_argument("-iters", "--num_iters", metavar="N", type=int, help="evaluations in all")
    parser.add_argument("-log", "--log_dir", metavar="DIR", help="where search_log.yaml goes [.]")
    parser.add_argument("-reload", "--reload_log", action="store_true", help="go on with the search in DIR")
    return parser.parse_args(arguments)


def search(arguments=None):
    """Run the search that a command line describes; return the exit status."""
    args = get_search_args(arguments)
    try:
        run(args)
    except (OSError, ValueError, AssertionError) as error:
        print(f"mle-search: {error}", file=sys.stderr)
        return 1
    return 0


def run(args):
    """Run a search; return the strategy.

    Raises
    ------
    ValueError
        For a config that says too little.
    """
    from mle_logging._dict import AttributeDict

    from .strategies import Strategies
    from .utils.helpers import load_yaml

    config = load_yaml(args.search_config, False) or {}
    base = load_yaml(args.base_config, False) if args.base_config else None
    if "param_search_args" in config:
        # An experiment of mle-toolbox.
        described = config["param_search_args"]
        config = dict(described["search_config"])
        config.setdefault("maximize_objective", described.get("search_logging", {}).get("max_objective", False))
        if base and "train_config" in base:
            base = base["train_config"]
    kind, iterations = config.get("search_type"), args.num_iters or config.get("num_iters")
    if kind not in Strategies:
        raise ValueError(f"{args.search_config}: search_type {kind!r} is none of {', '.join(Strategies)}")
    if not iterations:
        raise ValueError(f"{args.search_config}: has no num_iters, and no -iters was given")
    space = config.get("search_params") or {}
    if not space:
        raise ValueError(f"{args.search_config}: has no search_params (real, integer, categorical)")
    strategy = Strategies[kind](
        **{name: space.get(name) for name in ("real", "integer", "categorical")},
        search_config=config.get("search_config"),
        maximize_objective=bool(config.get("maximize_objective", False)),
        fixed_params=base,
        seed_id=config.get("seed_id", 42),
        verbose=True,
    )
    main = load_main(args.exec_fname)
    log = os.path.join(args.log_dir or ".", "search_log.yaml")
    if args.reload_log:
        strategy.load(log)
    while len(strategy) < iterations and not getattr(strategy, "completed", False):
        asked = strategy.ask()
        proposals = asked if isinstance(asked, list) else [asked]
        if not proposals:
            print(f"All points of the space were evaluated: {len(strategy)}.")
            break
        results = []
        for at, proposal in enumerate(proposals):
            given = AttributeDict(proposal)
            given["search_eval_id"] = f"{kind.lower()}_{len(strategy) + at}"
            results.append(main(given))
        if strategy.iterative:
            pairs = [one if isinstance(one, tuple) and len(one) == 2 else (one, None) for one in results]
            strategy.tell(proposals, [one for one, _ in pairs], [ckpt for _, ckpt in pairs], save=True, save_path=log)
        else:
            strategy.tell(proposals, results, save=True, save_path=log)
    return strategy


def load_main(path):
    """Return `main` of a script; its folder, and the one that is current, are looked in for what it imports.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no script {path}")
    for folder in (os.getcwd(), os.path.dirname(os.path.abspath(path))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    described = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    if described is None:
        raise ValueError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    if not hasattr(module, "main"):
        raise ValueError(f"{path}: has no main(config)")
    return module.main


if __name__ == "__main__":
    sys.exit(search())
