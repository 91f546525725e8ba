"""Columns of numbers, texts and arrays over updates."""

import sys
import time
import warnings

from .._lazy import is_array, np
from .._store import BUILT_IN

#: What one number is, without a look at it; numpy's too, once there are any.
_FLOATS = {float, int, bool}
_CLOCKS = {float, int}


class StatsLog:
    """Columns with a row an update.

    Attributes
    ----------
    clock_to_track, stats_to_track : list of str
    clock_tracked, stats_tracked : dict of list
        A value an update; None where an update had none.
    stats_update_counter : int

    Notes
    -----
    The folder and the seed are the logger's, which goes on with a stored log by :meth:`restore`: `reload` is its own.
    """

    def __init__(self, experiment_dir="", seed_id="no_seed_provided", time_to_track=(), what_to_track=(), reload=False, freeze_keys=False):
        names = [*BUILT_IN, *(name for name in time_to_track if name not in BUILT_IN)]
        self.clock_to_track = list(dict.fromkeys(names))
        self.stats_to_track = list(dict.fromkeys(what_to_track))
        self._clocks = {name: [] for name in self.clock_to_track}
        self._stats = {name: [] for name in self.stats_to_track}
        #: The names of the last update, `(clocks, statistics)`, where the next one can be taken by :meth:`quick`.
        self.shape = None
        #: Rows of that shape that are not in the columns yet.
        self._waiting = []
        self.freeze_keys = freeze_keys
        self.stats_update_counter = 0
        self.start_time = time.time()
        #: The text of the minute that it is, and when it ends.
        self._time, self._next_minute = "", 0.0
        #: Seconds of earlier sessions of this log.
        self.earlier_s = 0.0
        #: `[first row, unix time of its elapsed 0]` of each session.
        self.sessions = []

    def extend_tracking(self, stats_keys=None, time_keys=None):
        """Add columns of statistics and clocks; a text is one name."""
        self._settle()
        for names, order, columns in ((stats_keys, self.stats_to_track, self._stats), (time_keys, self.clock_to_track, self._clocks)):
            for name in [names] if isinstance(names, str) else names or ():
                self._column(order, columns, name)

    @property
    def clock_tracked(self):
        self._settle()
        return self._clocks

    @property
    def stats_tracked(self):
        self._settle()
        return self._stats

    def _settle(self):
        """Put the rows that wait into the columns."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        clocks, stats = self.shape
        for columns, names, rows in (
            (self._clocks, [*BUILT_IN, *clocks], zip(*(row[0] for row in waiting))),
            (self._stats, stats, zip(*(row[1] for row in waiting))),
        ):
            for name, values in zip(names, rows):
                columns[name].extend(values)
            for name in columns.keys() - set(names):
                columns[name].extend([None] * len(waiting))

    def quick(self, clock_tick, stats_tick):
        """Add a row that is like the last one and has numbers only.

        Returns
        -------
        list or None
            The seconds, the clocks and the statistics, in order. None when the row is not like that: nothing is added.
        """
        if self.shape is None or [*clock_tick] != self.shape[0] or [*stats_tick] != self.shape[1]:
            return None
        clocks, stats = [*clock_tick.values()], [*stats_tick.values()]
        if not _CLOCKS.issuperset(map(type, clocks)) or not _FLOATS.issuperset(map(type, stats)):
            return None
        stats = [*map(float, stats)]
        now = time.time()
        if now >= self._next_minute:
            self._tell_time(now)
        elapsed = self.earlier_s + now - self.start_time
        self.stats_update_counter += 1
        self._waiting.append(([self._time, elapsed, self.stats_update_counter, *clocks], stats))
        return [elapsed, *clocks, *stats]

    def _tell_time(self, now):
        self._time = time.strftime("%y-%m-%d/%H:%M", time.localtime(now))
        self._next_minute = now // 60 * 60 + 60

    def _column(self, names, columns, name):
        if name not in columns:
            names.append(name)
            columns[name] = [None] * self.stats_update_counter
        return columns[name]

    def update(self, clock_tick, stats_tick):
        """Add a row, and return it: `(clocks, statistics)` as they are stored. Neither dict is changed.

        Raises
        ------
        ValueError
            For a value that is no number, text or array of numbers; nothing is added then.
        KeyError
            For a name that is not tracked, once names are frozen.
        """
        stats = {name: as_value(name, value) for name, value in stats_tick.items()}
        if self.freeze_keys:
            unknown = [*(set(clock_tick) - set(self.clock_to_track)), *(set(stats) - set(self.stats_to_track))]
            if unknown:
                raise KeyError(f"{', '.join(map(repr, sorted(unknown)))} is not tracked")
        now = time.time()
        if not self.sessions or self.sessions[-1][1] != self.start_time - self.earlier_s:
            self.sessions.append([self.stats_update_counter + 1, self.start_time - self.earlier_s])
        if now >= self._next_minute:
            self._tell_time(now)
        self._settle()
        clocks = {
            "time": self._time,
            "time_elapsed": self.earlier_s + now - self.start_time,
            "num_updates": self.stats_update_counter + 1,
        }
        # What a caller calls by one of our names stays the caller's.
        clocks.update(clock_tick)
        self._warn_of_new(clock_tick, stats)
        for names, columns, row in (
            (self.clock_to_track, self._clocks, clocks),
            (self.stats_to_track, self._stats, stats),
        ):
            for name, value in row.items():
                self._column(names, columns, name).append(value)
            for name, column in columns.items():
                if name not in row:
                    column.append(None)
        self.stats_update_counter += 1
        is_plain = not set(BUILT_IN).intersection(clock_tick) and all(type(value) is float for value in stats.values())
        self.shape = ([*clock_tick], [*stats_tick]) if is_plain else None
        if len(_FLOATS) == 3 and "numpy" in sys.modules:
            _FLOATS.update((np.float64, np.float32))
        return clocks, stats

    def _warn_of_new(self, clocks, stats):
        """Say once of a name that was not declared where others were: it may be a misspelt one. It gets a column all the same."""
        for what, names, row in (("time_to_track", self.clock_to_track, clocks), ("what_to_track", self.stats_to_track, stats)):
            declared = [name for name in names if name not in BUILT_IN]
            new = [str(name) for name in row if name not in names]
            if declared and new:
                known = f"{what} has {', '.join(declared)}"
                warnings.warn(f"{', '.join(new)}: not declared, logged as a new column; {known}", stacklevel=4)

    def restore(self, log, sessions):
        """Go on after a stored log."""
        self.clock_to_track = [*BUILT_IN, *(name for name in log["time"] if name not in BUILT_IN)]
        self.stats_to_track = list(log["stats"])
        self.shape, self._waiting = None, []
        self._clocks = {name: _as_list(log["time"].get(name, ())) for name in self.clock_to_track}
        self._stats = {name: _as_list(log["stats"][name]) for name in self.stats_to_track}
        rows = max((len(column) for column in (*self.clock_tracked.values(), *self.stats_tracked.values())), default=0)
        for column in (*self.clock_tracked.values(), *self.stats_tracked.values()):
            column.extend([None] * (rows - len(column)))
        self.stats_update_counter = rows
        elapsed = [one for one in self.clock_tracked["time_elapsed"] if one == one]
        self.earlier_s = float(elapsed[-1]) if elapsed else 0.0
        self.sessions = [list(one) for one in sessions]

    def columns(self):
        """Return `{"stats", "time"}` as arrays, without those that never had a value."""
        return {
            "stats": {name: as_array(column) for name, column in sorted(self.stats_tracked.items()) if _has_any(column)},
            "time": {name: as_array(column) for name, column in sorted(self.clock_tracked.items()) if _has_any(column)},
        }


def _as_list(column):
    return list(column) if np.ndim(column) > 1 or getattr(column, "dtype", None) == object else np.asarray(column).tolist()


def _has_any(column):
    return any(value is not None for value in column)


def as_value(name, value):
    """Return a statistic as it is stored: a float, a text, an array, or None."""
    if type(value) is float:
        return value
    if is_array(value):
        return value.copy() if value.ndim else float(value)
    if value is None or isinstance(value, str):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype="float64")
    except (TypeError, ValueError):
        raise ValueError(f"statistic {name!r}: {value!r} is no number, text or array of numbers") from None
    return array if array.ndim else float(array)


def as_array(column):
    """Return a column as an array; of objects where rows are of different kinds or shapes."""
    kinds = {type(value) for value in column}
    if kinds <= {float, int, type(None)}:
        return np.array(column, dtype="float64")
    if np.ndarray in kinds or list in kinds:
        shapes = {np.shape(value) for value in column if isinstance(value, (np.ndarray, list))}
        shape = shapes.pop() if len(shapes) == 1 else None
        if shape is not None and not any(isinstance(value, str) for value in column):
            nothing = np.full(shape, np.nan)
            return np.stack([np.asarray(v, "float64") if isinstance(v, (np.ndarray, list)) else nothing for v in column])
    elif kinds == {str}:
        return np.array(column)
    elif str not in kinds:
        return np.array(column, dtype="float64")
    made = np.full(len(column), None, dtype=object)
    for at, value in enumerate(column):
        made[at] = value
    return made
