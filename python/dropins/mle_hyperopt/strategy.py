"""What all strategies have in common."""

import os
import types

from . import _engine, _store
from .space import SpaceError, plain
from .utils import comms
from .utils.helpers import (
    as_plain,
    flatten_config,
    is_missing,
    load_log,
    load_strategy,
    merge_config_dicts,
    records_frame,
    save_log,
    save_strategy,
    unflatten_config,
    write_configs,
)


class Strategy:
    """A search: :meth:`ask` for proposals, :meth:`tell` what they are worth.

    Parameters
    ----------
    real, integer, categorical : dict, optional
        The space; see `HyperSpace`. Names with slashes are nested keys.
    search_config : dict, optional
        Of the strategy.
    maximize_objective : bool
    fixed_params : dict, optional
        Merged under each proposal.
    reload_path : str, optional
        A saved search to go on with.
    reload_list : list of dict, optional
        Records with params, objective and, where there is one, ckpt.
    seed_id : int
        Of the strategy's own random stream.
    verbose : bool

    Attributes
    ----------
    log : list of dict
        eval_id, params (flat), objective, and extra and ckpt where there are.
    eval_counter : int
    all_evaluated_params : list of dict
    """

    search_name = "Strategy"
    space_class = None
    #: What `search_config` is where none is given.
    default_config = None
    #: What `search_config` must have.
    required = ()
    can_refine = False
    #: Whether proposals are `{"params", "extra"}` and a checkpoint comes with each result.
    iterative = False

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.default_config is not None:
            # As in the original: what has a config of its own shows it as the default, and is silent.
            init = Strategy.__init__
            names = init.__code__.co_varnames[1 : init.__code__.co_argcount]
            defaults = {**dict(zip(names, init.__defaults__)), "search_config": cls.default_config, "verbose": False}
            cls.__init__ = types.FunctionType(init.__code__, init.__globals__, "__init__", tuple(defaults.values()))

    def __init__(
        self,
        real=None,
        integer=None,
        categorical=None,
        search_config=None,
        maximize_objective=False,
        fixed_params=None,
        reload_path=None,
        reload_list=None,
        seed_id=42,
        verbose=True,
    ):
        import copy

        self.real, self.integer, self.categorical = real, integer, categorical
        if search_config is None or search_config is self.default_config:
            search_config = copy.deepcopy(self.default_config)
        self.search_config = search_config
        self.maximize_objective = maximize_objective
        self.fixed_params = fixed_params
        self.seed_id = 42 if seed_id is None else int(seed_id)
        self.verbose = verbose
        self._generator = None
        self.eval_counter = 0
        self.log = []
        self.all_evaluated_params = []
        self._keys = set()
        self._stored = None
        self._stored_rows = 0
        missing = [key for key in self.required if key not in (self.search_config or {})]
        if missing:
            raise SpaceError(f"the search_config of {self.search_name} has no {', '.join(missing)}")
        self._read_refine()
        self.space = self.space_class(real, integer, categorical)
        self.setup_search()
        if self.verbose:
            self.print_hello()
        # Last, when all that a stored search replaces is there.
        if reload_path is not None or reload_list is not None:
            self.load(reload_path, reload_list)

    @property
    def generator(self):
        """The strategy's numpy.random.RandomState; numpy is loaded with its first use."""
        if self._generator is None:
            import numpy as np

            self._generator = np.random.RandomState(self.seed_id)
        return self._generator

    @generator.setter
    def generator(self, generator):
        self._generator = generator

    # For the strategies ---------------------------------------------------------------------------------------------

    def setup_search(self):
        """Make what the strategy needs besides."""

    def ask_search(self, batch_size):
        """Return up to so many flat proposals."""
        raise NotImplementedError

    def tell_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        """Learn from results. Proposals are flat."""

    def log_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        """Return what goes into `extra` of each record, or None."""
        return None

    def update_search(self):
        """Go on to the next stage, if it is time."""

    def state(self):
        """Return what the log alone does not say, as a document."""
        return {"generator": _engine_state(self.generator)}

    def restore(self, state):
        """Set what :meth:`state` returned."""
        _set_engine_state(self.generator, state["generator"])

    def replay_batches(self, records):
        """Yield the records that were told together, in order."""
        for record in records:
            yield [record]

    # Ask and tell ---------------------------------------------------------------------------------------------------

    def ask(self, batch_size=1, store=False, config_fnames=None):
        """Return what to try next.

        Parameters
        ----------
        batch_size : int
        store : bool
            Write each proposal to a file as well.
        config_fnames : list of str, optional
            Their names [default: `eval_N.yaml`].

        Returns
        -------
        dict, or list of dict
            One proposal, or several; an empty list when nothing is left. With `store` a pair of these and of the names.
        """
        proposals = [self._as_config(one) for one in self.ask_search(batch_size)]
        if not store:
            return proposals[0] if len(proposals) == 1 else proposals
        if config_fnames is None:
            config_fnames = [f"eval_{self.eval_counter + at}.yaml" for at in range(len(proposals))]
        elif isinstance(config_fnames, str):
            config_fnames = [config_fnames]
        if len(config_fnames) != len(proposals):
            raise SpaceError(f"there are {len(proposals)} proposals, and {len(config_fnames)} names for them")
        self.store_configs(proposals, config_fnames)
        return (proposals[0], config_fnames[0]) if len(proposals) == 1 else (proposals, config_fnames)

    def _as_config(self, proposal):
        if self.iterative:
            return {"params": self._with_fixed(proposal["params"]), "extra": proposal["extra"]}
        return self._with_fixed(proposal)

    def _with_fixed(self, params):
        nested = unflatten_config(params)
        return dict(merge_config_dicts(self.fixed_params, nested)) if self.fixed_params else nested

    def tell(self, batch_proposals, perf_measures, ckpt_paths=None, save=False, save_path="search_log.yaml", reload=False):
        """Say what proposals are worth.

        Parameters
        ----------
        batch_proposals : dict, or list of dict
            Asked for or not; the same may be told again.
        perf_measures : float, or list of floats; of several objectives tuples or lists
            None or NaN: it failed.
        ckpt_paths : any or list, optional
            A checkpoint each.
        save : bool
            Call :meth:`save` with `save_path`.
        """
        proposals, values, ckpts = _as_lists(batch_proposals, perf_measures, ckpt_paths)
        if self.iterative and ckpts is None:
            raise SpaceError(f"{self.search_name} needs a checkpoint for each result: tell(proposals, values, ckpts)")
        ckpts = ckpts if ckpts is not None else [None] * len(proposals)
        for what, given in (("values", values), ("checkpoints", ckpts)):
            if len(given) != len(proposals):
                raise SpaceError(f"{len(proposals)} proposals were told, and {len(given)} {what} for them")
        flat, extras = self._clean(proposals)
        values = [_as_value(value) for value in values]
        if not flat:
            return
        self.tell_search(flat, values, ckpts)
        more = self.log_search(flat, values, ckpts)
        first = self.eval_counter
        for at, (params, value, ckpt) in enumerate(zip(flat, values, ckpts)):
            record = {"eval_id": self.eval_counter, "params": dict(params), "objective": value}
            extra = {**(extras[at] or {}), **((more[at] or {}) if more else {})}
            if extra:
                record["extra"] = extra
            if ckpt is not None:
                record["ckpt"] = ckpt
            self.log.append(record)
            self.all_evaluated_params.append(dict(params))
            self._keys.add(_engine.key_of(params))
            self.eval_counter += 1
        if self.verbose and not reload:
            self._print_update(self.log[first:])
        self._refine_if_due()
        self.update_search()
        if not reload:
            _store.follow(self)
        if save:
            self.save(save_path)

    def clean_data(self, batch_proposals, perf_measures, ckpt_paths=None):
        """Return what :meth:`tell` makes of results, without keeping any of it.

        Returns
        -------
        records : list of dict
        params : list of dict
            Flat, without what is fixed.
        values : list of float
        ckpts : list or None
        """
        proposals, values, ckpts = _as_lists(batch_proposals, perf_measures, ckpt_paths)
        flat, extras = self._clean(proposals)
        values = [_as_value(value) for value in values]
        records = []
        for at, (params, value) in enumerate(zip(flat, values)):
            records.append({"eval_id": self.eval_counter + at, "params": dict(params), "objective": value})
            if extras[at]:
                records[-1]["extra"] = extras[at]
            if ckpts is not None:
                records[-1]["ckpt"] = ckpts[at]
        return records, flat, values, ckpts

    def _clean(self, batch_proposals):
        """Return flat parameters of proposals without what is fixed, and their extras."""
        fixed = set(flatten_config(self.fixed_params or {})) - set(self.space.variable_names)
        flat, extras = [], []
        for proposal in batch_proposals:
            nested = "params" in proposal and ("extra" in proposal or self.iterative)
            extras.append(dict(proposal["extra"]) if nested and proposal.get("extra") else None)
            params = flatten_config(proposal["params"] if nested else proposal)
            flat.append({name: value for name, value in params.items() if name not in fixed})
        return flat, extras

    def was_evaluated(self, params):
        """Return whether parameters were told."""
        return _engine.key_of(params) in self._keys

    # What was found -------------------------------------------------------------------------------------------------

    def __len__(self):
        return self.eval_counter

    @property
    def num_objectives(self):
        """The number of objectives, once something was told."""
        return len(self.log[0]["objective"]) if self.log and _is_several(self.log[0]["objective"]) else 1

    def _cost(self, value):
        return float("inf") if is_missing(value) else (-value if self.maximize_objective else value)

    def ranked(self, records=None):
        """Return records, the best first; those that failed last."""
        records = self.log if records is None else records
        return sorted(records, key=lambda record: (is_missing(record["objective"]), self._cost(record["objective"])))

    def get_best(self, top_k=1):
        """Return the best evaluations.

        Returns
        -------
        ids : int, or (top_k,) array
        configs : dict, or list of dict
        evals : float, or list
        ckpts : any, or list; None where no evaluation of them has one
            With several objectives: lists of all that no other is better than.
        """
        if self.num_objectives > 1:
            return self.get_pareto_front()
        if top_k > self.eval_counter:
            raise SpaceError(f"there are {self.eval_counter} evaluations, and the best {top_k} are asked for")
        import numpy as np

        best = self.ranked()[:top_k]
        ids, configs, evals = _columns(best)
        ckpts = _ckpts(best)
        if top_k == 1:
            return ids[0], configs[0], evals[0], ckpts[0] if ckpts else None
        return np.array(ids), configs, evals, ckpts

    def get_pareto_front(self):
        """Return what :meth:`get_best` does with several objectives."""
        best = self.pareto_front()
        return (*_columns(best), _ckpts(best))

    def pareto_front(self):
        """Return the records that no other is better than, by the first objective."""
        records = [record for record in self.log if not any(is_missing(value) for value in record["objective"])]
        costs = [[self._cost(value) for value in record["objective"]] for record in records]

        def worse(one, other):
            return all(b <= a for a, b in zip(one, other)) and one != other

        front = [at for at, cost in enumerate(costs) if not any(worse(cost, other) for other in costs)]
        return [records[at] for at in sorted(front, key=lambda at: costs[at])]

    def improvement(self, score):
        """Return whether a value is as good as the best so far; the first always is."""
        if not self.log:
            return True
        if self.num_objectives > 1:
            cost = [self._cost(value) for value in score]
            fronts = [[self._cost(value) for value in record["objective"]] for record in self.pareto_front()]
            return not any(all(b <= a for a, b in zip(cost, other)) and cost != other for other in fronts)
        return self._cost(score) <= self._cost(self.ranked()[0]["objective"])

    def print_ranking(self, top_k=5):
        """Print the best evaluations."""
        if self.num_objectives > 1:
            best = self.pareto_front()[:top_k]
        else:
            if top_k > self.eval_counter:
                raise SpaceError(f"there are {self.eval_counter} evaluations, and the best {top_k} are asked for")
            best = self.ranked()[:top_k]
        comms.ranking_message(*_columns(best))

    @property
    def df(self):
        """The log as a data frame of pandas."""
        return records_frame(self.log)

    def plot_best(self, fname=None):
        """Draw the best value so far over evaluations.

        Returns
        -------
        (Figure, Axes), or None when it was saved as `fname`.
        """
        from .utils.visualize import plot_best_over_evals

        if self.num_objectives > 1:
            raise SpaceError("the best so far is drawn of one objective")
        values = [float("nan") if is_missing(record["objective"]) else record["objective"] for record in self.log]
        fig, ax = plot_best_over_evals(values, self.maximize_objective)
        if fname is None:
            return fig, ax
        fig.savefig(fname, dpi=300)
        return None

    # Refining -------------------------------------------------------------------------------------------------------

    def _read_refine(self):
        config = self.search_config or {}
        self.refine_counter, self.last_refined = 0, 0
        self.refine_after = self.refine_top_k = None
        if "refine_after" in config or "refine_top_k" in config:
            if not {"refine_after", "refine_top_k"} <= set(config):
                raise SpaceError("refine_after and refine_top_k belong together in search_config")
            given = config["refine_after"]
            self.refine_after = sorted(given) if isinstance(given, (list, tuple)) else [given]
            self.refine_top_k = config["refine_top_k"]
            if self.refine_top_k <= 1:
                raise SpaceError(f"refine_top_k {self.refine_top_k} gives no range: it must be 2 or more")

    def _refine_if_due(self):
        if self.refine_after is None or not self.can_refine:
            return
        due = [one for one in self.refine_after[self.refine_counter :] if one <= self.eval_counter]
        if due:
            self.refine_counter += len(due)
            self.refine(self.refine_top_k)
            self.last_refined = due[-1]

    def refine(self, top_k):
        """Search on in the range of the best `top_k` evaluations."""
        if not self.can_refine:
            raise SpaceError(f"{self.search_name} cannot be refined")
        if top_k > self.eval_counter:
            raise SpaceError(f"there are {self.eval_counter} evaluations, and the best {top_k} are asked for")
        if self.num_objectives > 1:
            best = self.pareto_front()[:top_k]
        else:
            best = self.ranked()[:top_k]
        real, integer, categorical = {}, {}, {}
        for old, new in ((self.space.real, real), (self.space.integer, integer)):
            for name, given in old.items():
                values = [record["params"][name] for record in best if name in record["params"]]
                low, high = (min(values), max(values)) if values else (given["begin"], given["end"])
                new[name] = {**given, "begin": plain(low), "end": plain(high)}
        for name, values in self.space.categorical.items():
            have = [_engine.key_of({name: record["params"].get(name)}) for record in best]
            categorical[name] = [value for value in values if _engine.key_of({name: value}) in have] or values
        self.refine_space(real, integer, categorical)
        if self.verbose:
            self.print_hello(f"Refined after {self.eval_counter} evaluations, around the best {top_k}")

    def refine_space(self, top_k):
        """Strategies that can be refined have this method with the three ranges instead, as :meth:`refine` gives them."""
        raise SpaceError(f"{self.search_name} cannot be refined")

    def refined(self):
        """Go on in the space as it is now."""

    # Storing --------------------------------------------------------------------------------------------------------

    def store_configs(self, config_dicts, config_fnames):
        """Write configs as YAML or JSON files."""
        if isinstance(config_dicts, dict):
            config_dicts = [config_dicts]
        if isinstance(config_fnames, str):
            config_fnames = [config_fnames]
        write_configs(config_dicts, config_fnames)

    def save(self, save_path="search_log.yaml"):
        """Store the search, in the database and as a file.

        Parameters
        ----------
        save_path : str
            `.yaml` or `.json`: the log. `.pkl`: the whole strategy.

        Raises
        ------
        ValueError
            For another ending.
        """
        save_path = os.fspath(save_path)
        ending = os.path.splitext(save_path)[1]
        if ending not in (".yaml", ".json", ".pkl"):
            raise ValueError(f"{save_path}: searches are saved as .yaml, .json or .pkl")
        _store.save(self, save_path)
        if ending == ".pkl":
            save_strategy(self, save_path)
        elif _store.mirrors():
            save_log(self.log, save_path)
        if self.verbose:
            print(f"Saved {self.eval_counter} evaluations: {save_path}")

    def load(self, reload_path=None, reload_list=None):
        """Go on with a saved search.

        Parameters
        ----------
        reload_path : str, optional
            What :meth:`save` was given. Where the database has the search, it goes on as if it had not been stopped; of a
            file alone the results are told again.
        reload_list : list of dict, optional
            Records to tell.

        Raises
        ------
        FileNotFoundError, ValueError
        """
        before = self.eval_counter
        if reload_path is not None:
            reload_path = os.fspath(reload_path)
            ending = os.path.splitext(reload_path)[1]
            if ending not in (".yaml", ".json", ".pkl"):
                raise ValueError(f"{reload_path}: searches are saved as .yaml, .json or .pkl")
            if ending == ".pkl" and os.path.isfile(reload_path):
                loaded = load_strategy(reload_path)
                if not isinstance(loaded, type(self)):
                    raise ValueError(f"{reload_path}: holds a {type(loaded).__name__}, not a {type(self).__name__}")
                verbose = self.verbose
                self.__dict__.update(loaded.__dict__)
                self.verbose = verbose
            else:
                records = load_log(reload_path) if os.path.isfile(reload_path) else None
                stored = _store.load(self, reload_path)
                if stored is not None and (records is None or len(records) == len(stored["log"])) and not self.log:
                    self._resume(stored)
                elif records is not None:
                    self._replay(records)
                else:
                    raise FileNotFoundError(f"there is no search {reload_path}, as a file or in the database")
        if reload_list is not None:
            self._replay(reload_list)
        print(f"Reloaded {self.eval_counter - before} evaluations.")

    def _replay(self, records):
        for batch in self.replay_batches(list(records)):
            proposals = []
            for record in batch:
                extra = record.get("extra")
                params = record["params"]
                proposals.append({"params": params, "extra": extra or {}} if extra or self.iterative else params)
            ckpts = [record.get("ckpt") for record in batch]
            if not self.iterative and all(ckpt is None for ckpt in ckpts):
                ckpts = None
            self.tell(proposals, [record["objective"] for record in batch], ckpts, reload=True)

    def _resume(self, stored):
        """Set what was stored: the records, and what the strategy was at."""
        self.log = [self._typed(record) for record in stored["log"]]
        self.eval_counter = len(self.log)
        self.all_evaluated_params = [dict(record["params"]) for record in self.log]
        self._keys = {_engine.key_of(params) for params in self.all_evaluated_params}
        self.last_refined, self.refine_counter = stored["last_refined"], stored["refine_counter"]
        if stored["bounds"] != _bounds(self.space) and self.can_refine:
            bounds = stored["bounds"]
            self.space.update(*self._space_of(bounds))
        self.restore(stored["state"])
        self.rebuild()
        self._stored, self._stored_rows = stored["study"], len(self.log)

    def _space_of(self, bounds):
        ranges = []
        for group in (self.space.real, self.space.integer):
            ranges.append({name: {**given, "begin": bounds[name][1], "end": bounds[name][2]} for name, given in group.items()})
        lists = {
            name: [value for value in values if as_plain(value) in bounds[name][1:]] or values
            for name, values in self.space.categorical.items()
        }
        return (*ranges, lists)

    def _typed(self, record):
        """Return a stored record with the values that lists have: documents have no tuples."""
        params = dict(record["params"])
        for name, values in self.space.categorical.items():
            for value in values:
                if name in params and not isinstance(value, (str, int, float, bool, type(None))):
                    if as_plain(value) == params[name]:
                        params[name] = value
        value = record["objective"]
        return {**record, "params": params, "objective": tuple(value) if isinstance(value, list) else value}

    def rebuild(self):
        """Make again what is not stored, out of the log."""

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_engine")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.rebuild()

    # Printing -------------------------------------------------------------------------------------------------------

    def print_hello(self, message=None):
        """Print the space."""
        rows = self.space.describe()
        rows += [{"name": name, "type": "fixed", "extra": value} for name, value in flatten_config(self.fixed_params or {}).items()]
        comms.welcome_message(rows, self.search_name, message=message)
        self.print_hello_strategy()

    def print_hello_strategy(self):
        """Print what the strategy has to say at the beginning."""

    def print_update(self, batch_proposals, perf_measures, ckpt_paths=None):
        """Print the best of all that was told, and of some results."""
        self._print_update(self.clean_data(batch_proposals, perf_measures, ckpt_paths)[0])

    def _print_update(self, batch):
        if self.num_objectives > 1:
            best, best_of_batch = self.pareto_front()[:5], batch[:1]
        else:
            best, best_of_batch = self.ranked()[:1], self.ranked(batch)[:1]
        told = []
        for records in (best, best_of_batch):
            told += [*_columns(records), _ckpts(records)]
        comms.update_message(self.eval_counter, *told)
        self.print_update_strategy()

    def print_update_strategy(self):
        """Print what the strategy has to say after an update."""


def _columns(records):
    return (
        [record["eval_id"] for record in records],
        [dict(record["params"]) for record in records],
        [record["objective"] for record in records],
    )


def _ckpts(records):
    found = [record.get("ckpt") for record in records]
    return found if any(ckpt is not None for ckpt in found) else None


def _is_several(value):
    return isinstance(value, (list, tuple))


def _as_value(value):
    """Return an objective: a float, NaN for None, a tuple for several."""
    if value is None:
        return float("nan")
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0):
        return tuple(_as_value(one) for one in value)
    found = plain(value)
    if isinstance(found, (int, float)):
        return found
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no number: a proposal is worth a number, or None where it failed") from None


def _as_lists(proposals, values, ckpts):
    if hasattr(proposals, "items"):
        return [proposals], [values[0] if isinstance(values, list) and len(values) == 1 else values], _one(ckpts)
    proposals = list(proposals)
    if not isinstance(values, (list, tuple)) and not getattr(values, "ndim", 0):
        values = [values]
    if isinstance(ckpts, (str, os.PathLike)):
        ckpts = [ckpts]
    return proposals, list(values), list(ckpts) if ckpts is not None else None


def _one(ckpts):
    if ckpts is None:
        return None
    return ckpts if isinstance(ckpts, list) and len(ckpts) == 1 else [ckpts]


def _bounds(space):
    return as_plain(space.bounds)


def _engine_state(generator):
    kind, keys, at, has_gauss, gauss = generator.get_state()
    return {"kind": kind, "keys": [int(one) for one in keys], "at": int(at), "has_gauss": int(has_gauss), "gauss": float(gauss)}


def _set_engine_state(generator, state):
    import numpy as np

    keys = np.array(state["keys"], dtype="uint32")
    generator.set_state((state["kind"], keys, state["at"], state["has_gauss"], state["gauss"]))


class QuietStrategy(Strategy):
    """A strategy that prints nothing unless it is asked to: all that have names."""

    def __init__(
        self,
        real=None,
        integer=None,
        categorical=None,
        search_config=None,
        maximize_objective=False,
        fixed_params=None,
        reload_path=None,
        reload_list=None,
        seed_id=42,
        verbose=False,
    ):
        super().__init__(
            real,
            integer,
            categorical,
            search_config,
            maximize_objective,
            fixed_params,
            reload_path,
            reload_list,
            seed_id,
            verbose,
        )
