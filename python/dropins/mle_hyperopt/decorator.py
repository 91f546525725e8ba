"""A search around a function."""

import functools

from .strategies import Strategies


def hyperopt(
    strategy_type,
    num_search_iters,
    real=None,
    integer=None,
    categorical=None,
    search_config=None,
    maximize_objective=False,
    fixed_params=None,
):
    """Make a function search for its best config.

    Parameters
    ----------
    strategy_type : str
        A key of `Strategies`.
    num_search_iters : int
        Asks of each call; of strategies of batches each is for a whole batch. A search that is complete ends earlier.
    real, integer, categorical, search_config, maximize_objective, fixed_params
        As of the strategies.

    Returns
    -------
    decorator
        The function is called as `function(config, …)` and returns the objective. With Halving, Hyperband and PBT config
        has `params` and `extra`, and it may return `(objective, checkpoint)`. A call of what is decorated returns the
        strategy; another call goes on with it.
    """
    if strategy_type not in Strategies:
        raise AssertionError(f"strategy {strategy_type!r} is none of {', '.join(Strategies)}")

    def decorate(function):
        strategy = Strategies[strategy_type](
            real,
            integer,
            categorical,
            search_config=search_config,
            maximize_objective=maximize_objective,
            fixed_params=fixed_params,
        )

        @functools.wraps(function)
        def search(*args, **kwargs):
            for _ in range(num_search_iters):
                if getattr(strategy, "completed", False):
                    break
                asked = strategy.ask()
                proposals = asked if isinstance(asked, list) else [asked]
                if not proposals:
                    break
                results = [function(proposal, *args, **kwargs) for proposal in proposals]
                if strategy.iterative:
                    pairs = [one if isinstance(one, tuple) and len(one) == 2 else (one, None) for one in results]
                    strategy.tell(proposals, [one for one, _ in pairs], [ckpt for _, ckpt in pairs])
                else:
                    strategy.tell(proposals, results)
            return strategy

        return search

    return decorate
