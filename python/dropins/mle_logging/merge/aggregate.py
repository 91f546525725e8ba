"""Statistics of runs over seeds."""

from .._dict import AttributeDict
from .._lazy import np

STATISTICS = ("mean", "std", "p50", "p10", "p25", "p75", "p90")
#: What is the same for all seeds of a run.
SHARED = ("experiment_dir", "eval_id", "config_fname", "model_type", "config_dict")


def padded(arrays):
    """Return arrays of rows as one of shape (seeds, rows, …), NaN where a seed has no row.

    Raises
    ------
    ValueError
        When they are not numbers of one shape.
    """
    arrays = [np.asarray(array) for array in arrays]
    if any(array.dtype.kind not in "biuf" for array in arrays) or len({array.shape[1:] for array in arrays}) > 1:
        raise ValueError("only numbers of one shape can be aggregated")
    rows = max(len(array) for array in arrays)
    if all(len(array) == rows for array in arrays):
        return np.stack(arrays).astype("float64", copy=False)
    stacked = np.full((len(arrays), rows, *arrays[0].shape[1:]), np.nan)
    for at, array in enumerate(arrays):
        stacked[at, : len(array)] = array
    return stacked


def _over(function, stacked, *more):
    """Apply a function over seeds that leaves NaN out, without a word where there is nothing else."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(stacked, *more, axis=0)


def tolerant_mean(arrs):
    """Return mean and population standard deviation over arrays of any lengths, step by step.

    Parameters
    ----------
    arrs : sequence of (rows, …) arrays

    Returns
    -------
    mean, std : (longest rows, …) float64
        Of the arrays that have the row, and a number there.
    """
    stacked = padded(arrs)
    whole = not np.isnan(stacked).any()
    mean, std = (np.mean, np.std) if whole else (np.nanmean, np.nanstd)
    return _over(mean, stacked), _over(std, stacked)


def tolerant_median(arrs):
    """Return the percentiles 50, 10, 25, 75 and 90 over arrays of any lengths, step by step."""
    # Sorted, those that are not there come last. numpy's percentiles are the same and load half of it.
    ordered = np.sort(padded(arrs), axis=0)
    known = np.count_nonzero(~np.isnan(ordered), axis=0)
    return tuple(_percentile(ordered, known, percent) for percent in (50, 10, 25, 75, 90))


def _percentile(ordered, known, percent):
    """Return a percentile of the first `known` values of each column, by linear interpolation."""
    place = (percent / 100) * (np.maximum(known, 1) - 1)
    below = np.floor(place).astype("int64")
    above = np.minimum(below + 1, np.maximum(known, 1) - 1)
    low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (below, above))
    part = place - below
    # From the nearer end, as numpy does, so that the last value is met exactly; and no way from infinity to infinity.
    with np.errstate(invalid="ignore"):
        way = high - low
        between = np.where(part >= 0.5, high - way * (1 - part), low + way * part)
    return np.where((part == 0) | (low == high), low, between)


def _statistics(arrays):
    mean, std = tolerant_mean(arrays)
    return dict(zip(STATISTICS, (mean, std, *tolerant_median(arrays))))


def seed_of(name):
    """Return 3 for "seed_3", and a name that is not like that as it is."""
    label = str(name).rpartition("_")[2]
    return int(label) if label.isdigit() and str(name).startswith("seed_") else name


def aggregate_single_eval(result_dict, all_seeds_for_run=None, eval_name=None):
    """Return one log over the seeds of a run.

    Parameters
    ----------
    result_dict : dict of logs by seed
    all_seeds_for_run : list, optional
        Which of them [default: all].
    eval_name : str, optional
        The run's name: then the log is below it.

    Returns
    -------
    AttributeDict
        `time` of the longest seed; `stats` with mean, std (population), p50, p10, p25, p75 and p90 for each number, and
        the seeds' arrays for the rest; `meta` with one value where it is the same for a run, else one a seed.
    """
    names = list(all_seeds_for_run or result_dict)
    logs = [result_dict[name] for name in names]

    def union(group):
        return sorted({name for log in logs for name in log.get(group, {})})

    def length(log):
        return max((len(column) for column in log.get("time", {}).values()), default=0)

    longest = max(logs, key=length)
    made = {"meta": {}, "stats": {}, "time": {}}
    for name in union("time"):
        having = longest if name in longest["time"] else next(log for log in logs if name in log.get("time", {}))
        made["time"][name] = having["time"][name]
    for name in union("stats"):
        arrays = [log["stats"][name] for log in logs if len(log.get("stats", {}).get(name, ()))]
        if not arrays:
            continue
        try:
            made["stats"][name] = _statistics(arrays)
        except ValueError:
            made["stats"][name] = arrays
    for name in union("meta"):
        values = [log["meta"][name] for log in logs if name in log.get("meta", {})]
        made["meta"][name] = min(values, key=str) if name in SHARED else values
    made["meta"]["seeds"] = [seed_of(name) for name in names]
    return AttributeDict({eval_name: made} if eval_name is not None else made)


def aggregate_batch_evals(result_dict, all_runs=None):
    """Return `{run: log over its seeds}` of `{run: {seed: log}}`."""
    return AttributeDict({name: aggregate_single_eval(result_dict[name]) for name in all_runs or result_dict})


def aggregate_over_seeds(result_dict, batch_case=False):
    """Return statistics over seeds.

    Parameters
    ----------
    result_dict : dict
        `{seed: log}`, or `{run: {seed: log}}` with `batch_case`.

    Returns
    -------
    AttributeDict
        `{"eval": log}`, or a log for each run.
    """
    if batch_case:
        return aggregate_batch_evals(result_dict)
    return AttributeDict({"eval": aggregate_single_eval(result_dict)})
