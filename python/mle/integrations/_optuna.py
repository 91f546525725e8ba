"""A storage of Optuna on a file of ours.

What is where:

====================================  =================================================================================
Optuna                                the file
====================================  =================================================================================
study                                 an experiment of the kind `log` with a study of the strategy `external`
direction, directions                 objectives `value`, or `value_0`, `value_1`, …
attributes of a study                 `user_attrs` and `system_attrs` of the experiment's extra
trial: number, state, parameters      the trial's; FAIL is `failed`. Values of a complete trial are its `values`
distributions, attributes,            `distributions`, `user_attrs`, `system_attrs`, `intermediate`, `started_at`, `ended_at`
intermediate values, times            and `values` (of trials that are not complete) of the trial's extra
intermediate values, once it ended    also the trial's curve, in order of their steps
distributions of all trials           the study's space, which grows as parameters come up
====================================  =================================================================================

So `mle study`, the views and :class:`mle.Study` show them as any other; and studies of other strategies are read by Optuna
too, their distributions being those of their space.
"""

from __future__ import annotations

import copy
import json
import math
import re
import threading
from datetime import datetime

import optuna
from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study._frozen import FrozenStudy
from optuna.study._study_direction import StudyDirection
from optuna.trial import FrozenTrial, TrialState

try:
    from optuna.exceptions import UpdateFinishedTrialError
except ImportError:
    # What releases before 4.0 raise.
    UpdateFinishedTrialError = RuntimeError

from .._db import as_database
from .._errors import ConflictError, InvalidError, NotFoundError
from .._strategy import Exhausted
from ._optuna_space import distribution_of, domain_to_distribution, domains_of, plain
from ._outside import EXTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Container, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from .._db import Database
    from .._types import Path

_WORDS = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
STATES = {word: state for state, word in _WORDS.items()}
# What the file calls a study without a name.
_NAMELESS = "(no name)"
_NEVER = 2**62


class _Known:
    """What a storage knows of a study."""

    def __init__(self, study_id: int, outline: Dict[str, Any]) -> None:
        self.id = study_id
        self.name = "" if outline["name"] == _NAMELESS else outline["name"]
        self.space = outline["space"]
        self.by_hand = outline["by_hand"]
        self.directions = [
            StudyDirection.MAXIMIZE if goal == "max" else StudyDirection.MINIMIZE for _, goal in outline["objectives"]
        ]
        self.trials: List[FrozenTrial] = []
        # Numbers of those that may still change.
        self.open: List[int] = []
        self.distributions: Dict[str, BaseDistribution] = {}


class OptunaStorage(BaseStorage, BaseHeartbeat):
    """Studies of Optuna in a file of ours; made by :func:`mle.optuna_storage`, whose arguments these are."""

    def __init__(
        self,
        db: Union[Database, Path, None] = None,
        *,
        heartbeat_interval: Optional[int] = None,
        grace_period: Optional[int] = None,
        failed_trial_callback: Optional[Callable[[optuna.Study, FrozenTrial], None]] = None,
    ) -> None:
        for name, seconds in (("heartbeat_interval", heartbeat_interval), ("grace_period", grace_period)):
            if seconds is not None and seconds <= 0:
                raise InvalidError(f"{name}: {seconds} is not a number of seconds above 0")
        self.db = as_database(db)
        self._heartbeat_interval = heartbeat_interval
        self._grace_period = grace_period
        self._failed_trial_callback = failed_trial_callback
        self._lock = threading.RLock()
        self._studies: Dict[int, _Known] = {}
        self._places: Dict[int, Tuple[int, int]] = {}

    def __getstate__(self) -> Dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_lock", "_studies", "_places"):
            del state[name]
        return state

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock(), _studies={}, _places={})

    def __repr__(self) -> str:
        return f"mle.optuna_storage({self.db.path!r})"

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: Optional[str] = None) -> int:
        if study_name is None:
            import uuid

            study_name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4())
        goals = ["max" if direction == StudyDirection.MAXIMIZE else "min" for direction in directions]
        names = ["value"] if len(goals) == 1 else [f"value_{at}" for at in range(len(goals))]
        study, _, is_new = self.db.native.add_study(
            study_name or _NAMELESS,
            {},
            strategy=EXTERNAL,
            settings={"by": "optuna"},
            objectives=list(zip(names, goals)),
            if_missing=True,
        )
        if not is_new:
            raise DuplicatedStudyError(f"there is a study {study_name!r} in {self.db.path}; load_if_exists=True goes on with it")
        return study

    def delete_study(self, study_id: int) -> None:
        self.db.native.delete_experiment(self._outline(study_id)["experiment"])
        with self._lock:
            self._studies.pop(study_id, None)

    def _outline(self, study_id: int) -> Dict[str, Any]:
        try:
            return self.db.native.outline(study_id)
        except NotFoundError:
            raise KeyError(f"there is no study {study_id}") from None

    def _known(self, study_id: int) -> _Known:
        with self._lock:
            known = self._studies.get(study_id)
            if known is None:
                known = self._studies[study_id] = _Known(study_id, self._outline(study_id))
            return known

    def _note(self, study_id: int, kind: str, key: str, value: Any) -> None:
        try:
            self.db.native.note_study(study_id, [kind, key], pack(value))
        except NotFoundError:
            raise KeyError(f"there is no study {study_id}") from None

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._note(study_id, "user_attrs", key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._note(study_id, "system_attrs", key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        found = self.db.native.studies_there(study_name or _NAMELESS)
        if not found:
            raise KeyError(f"there is no study {study_name!r} in {self.db.path}")
        return found[0]

    def get_study_name_from_id(self, study_id: int) -> str:
        name = self._outline(study_id)["name"]
        return "" if name == _NAMELESS else str(name)

    def get_study_directions(self, study_id: int) -> List[StudyDirection]:
        return list(self._known(study_id).directions)

    def get_study_user_attrs(self, study_id: int) -> Dict[str, Any]:
        return _unpack_all(self._outline(study_id)["extra"].get("user_attrs"))

    def get_study_system_attrs(self, study_id: int) -> Dict[str, Any]:
        return _unpack_all(self._outline(study_id)["extra"].get("system_attrs"))

    def get_all_studies(self) -> List[FrozenStudy]:
        return [self._frozen(study_id) for study_id in self.db.native.studies_there()]

    def _frozen(self, study_id: int) -> FrozenStudy:
        outline = self._outline(study_id)
        known = _Known(study_id, outline)
        return FrozenStudy(
            study_name=known.name,
            direction=None,
            directions=known.directions,
            user_attrs=_unpack_all(outline["extra"].get("user_attrs")),
            system_attrs=_unpack_all(outline["extra"].get("system_attrs")),
            study_id=study_id,
        )

    # Trials

    def create_new_trial(self, study_id: int, template_trial: Optional[FrozenTrial] = None) -> int:
        known = self._known(study_id)
        try:
            if template_trial is None:
                extra = {"started_at": datetime.now().isoformat()}
                given = self.db.native.propose(study_id, {}, state="running", extra=extra, checked=False)
            else:
                given = self._add(study_id, template_trial)
        except NotFoundError:
            raise KeyError(f"there is no study {study_id}") from None
        if given is None:
            raise Exhausted(f"study {known.name!r} may have no more trials")
        trial, number = given
        with self._lock:
            self._places[trial] = (study_id, number)
        return trial

    def _add(self, study_id: int, trial: FrozenTrial) -> Optional[Tuple[int, int]]:
        extra: Dict[str, Any] = {
            "distributions": {
                name: [trial.distributions[name].to_internal_repr(value), distribution_to_json(trial.distributions[name])]
                for name, value in trial.params.items()
            },
            "user_attrs": {key: pack(value) for key, value in trial.user_attrs.items()},
            "system_attrs": {key: pack(value) for key, value in trial.system_attrs.items()},
            "intermediate": {str(step): value for step, value in trial.intermediate_values.items()},
        }
        times: List[Optional[int]] = []
        for key, at in (("started_at", trial.datetime_start), ("ended_at", trial.datetime_complete)):
            times.append(None if at is None else int(at.timestamp() * 1000))
            if at is not None:
                extra[key] = at.isoformat()
        ended = trial.state.is_finished()
        values = None if trial.values is None else [float(value) for value in trial.values]
        if values is not None and trial.state != TrialState.COMPLETE:
            extra["values"] = values
        given = self.db.native.propose(
            study_id,
            {name: plain(value) for name, value in trial.params.items()},
            state=_WORDS[trial.state],
            values=values if trial.state == TrialState.COMPLETE else None,
            curve=_curve(trial.intermediate_values) if ended else [],
            extra=extra,
            asked_at_ms=times[0],
            ended_at_ms=times[1] if ended else None,
            checked=False,
        )
        if given is not None and trial.distributions and not ended:
            self._edit(given[0], domains=domains_of(trial.distributions))
        return given

    def _edit(self, trial_id: int, **changes: Any) -> str:
        """Change a trial; say what came of it.

        Raises
        ------
        KeyError
            When there is no such trial.
        UpdateFinishedTrialError
            When it has ended.
        """
        try:
            said = self.db.native.edit_trial(trial_id, **changes)
        except NotFoundError:
            raise KeyError(f"there is no trial {trial_id}") from None
        except ConflictError as error:
            raise UpdateFinishedTrialError(str(error)) from None
        if said == "ended":
            raise UpdateFinishedTrialError(f"trial {self._place(trial_id)[1]} has ended, it cannot be changed")
        return said

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self.get_trial(trial_id)
        self.check_trial_is_updatable(trial_id, trial.state)
        known = self._known(self._place(trial_id)[0])
        with self._lock:
            if param_name not in known.distributions:
                self._catch_up(self._place(trial_id)[0], known)
            before = known.distributions.setdefault(param_name, distribution)
        check_distribution_compatibility(before, distribution)
        value = distribution.to_external_repr(param_value_internal)
        kept = [float(param_value_internal), distribution_to_json(distribution)]
        self._edit(
            trial_id,
            params={param_name: plain(value)},
            domains=domains_of({param_name: distribution}),
            extra=[(["distributions", param_name], kept)],
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Optional[Sequence[float]] = None
    ) -> bool:
        now = datetime.now().isoformat()
        told = None if values is None else [float(value) for value in values]
        if state == TrialState.RUNNING:
            # Only one process takes a trial that waits.
            try:
                taken = self._edit(trial_id, state="running", from_="waiting", extra=[(["started_at"], now)])
            except RuntimeError:
                if UpdateFinishedTrialError is not RuntimeError:
                    raise
                # Those releases do not expect that another process took it and is through with it.
                return False
            return taken == "done"
        extra: List[Tuple[List[str], Any]] = []
        changes: Dict[str, Any] = {"state": _WORDS[state]}
        if state.is_finished():
            extra.append((["ended_at"], now))
            changes["curve"] = _curve(self.get_trial(trial_id).intermediate_values)
        if told is not None:
            if state == TrialState.COMPLETE:
                changes["values"] = told
            else:
                extra.append((["values"], told))
        self._edit(trial_id, extra=extra, **changes)
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._edit(trial_id, extra=[(["intermediate", str(int(step))], float(intermediate_value))])

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._edit(trial_id, extra=[(["user_attrs", key], pack(value))])

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._edit(trial_id, extra=[(["system_attrs", key], pack(value))])

    def _place(self, trial_id: int) -> Tuple[int, int]:
        """Return a trial's study and number."""
        place = self._places.get(trial_id)
        if place is None:
            try:
                place = self.db.native.study_of_trial(trial_id)
            except NotFoundError:
                raise KeyError(f"there is no trial {trial_id}") from None
            self._places[trial_id] = place
        return place

    def get_trial_number_from_id(self, trial_id: int) -> int:
        return self._place(trial_id)[1]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        study_id, number = self._place(trial_id)
        known = self._known(study_id)
        with self._lock:
            if number < len(known.trials) and number not in known.open:
                return known.trials[number]
        try:
            (kept,) = self.db.native.trials_after(study_id, _NEVER, [number])
        except NotFoundError:
            raise KeyError(f"there is no trial {trial_id}") from None
        return self._read(kept, known)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Optional[Container[TrialState]] = None
    ) -> List[FrozenTrial]:
        known = self._known(study_id)
        with self._lock:
            self._catch_up(study_id, known)
            trials = list(known.trials)
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _catch_up(self, study_id: int, known: _Known) -> None:
        """Read the trials that are new, and those that had not ended at the last look."""
        try:
            found = self.db.native.trials_after(study_id, len(known.trials), known.open)
        except NotFoundError:
            raise KeyError(f"there is no study {study_id}") from None
        still: List[int] = []
        for kept in found:
            trial, number = self._read(kept, known), kept["number"]
            if number < len(known.trials):
                known.trials[number] = trial
            else:
                # Numbers have no holes.
                known.trials.append(trial)
            self._places[trial._trial_id] = (study_id, number)
            # Trials with epochs may go on after their end.
            if not trial.state.is_finished() or kept["has_epochs"]:
                still.append(number)
            for name, distribution in trial.distributions.items():
                known.distributions.setdefault(name, distribution)
        known.open = still

    def _read(self, kept: Dict[str, Any], known: _Known) -> FrozenTrial:
        extra = kept["extra"]
        params: Dict[str, Any] = {}
        distributions: Dict[str, BaseDistribution] = {}
        for name, (internal, text) in extra.get("distributions", {}).items():
            distribution = distributions[name] = distribution_of(text)
            params[name] = distribution.to_external_repr(_number(internal))
        strangers = [name for name in kept["params"] if name not in params]
        if any(name not in known.space for name in strangers):
            # It has grown since.
            known.space = self.db.native.outline(known.id)["space"]
        for name in strangers:
            value = kept["params"][name]
            if name in known.space:
                distributions[name] = domain_to_distribution(name, known.space[name])
                params[name] = value
        state, values = STATES[kept["state"]], kept["values"]
        if state == TrialState.WAITING and not known.by_hand:
            # Whoever has jobs takes it, not Optuna.
            state = TrialState.RUNNING
        if state != TrialState.COMPLETE:
            told = extra.get("values")
            values = None if told is None else [_number(value) for value in told]
        elif values is None or any(math.isnan(value) for value in values):
            state, values = TrialState.FAIL, None
        if "intermediate" in extra or not kept["curve"]:
            steps = {int(step): _number(value) for step, value in extra.get("intermediate", {}).items()}
        else:
            steps = dict(enumerate(kept["curve"], 1))
        return FrozenTrial(
            number=kept["number"],
            state=state,
            value=None,
            values=values,
            datetime_start=_time(extra.get("started_at"), None if state == TrialState.WAITING else kept["asked_at_ms"]),
            datetime_complete=_time(extra.get("ended_at"), kept["ended_at_ms"]) if state.is_finished() else None,
            params=params,
            distributions=distributions,
            user_attrs=_unpack_all(extra.get("user_attrs")),
            system_attrs=_unpack_all(extra.get("system_attrs")),
            intermediate_values=steps,
            trial_id=kept["id"],
        )

    def remove_session(self) -> None:
        # Optuna goes on after it. What is open are a few idle connections.
        pass

    # Trials whose process died

    def record_heartbeat(self, trial_id: int) -> None:
        self.db.native.touch_trial(trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> List[int]:
        assert self._heartbeat_interval is not None
        seconds = self._grace_period or 2 * self._heartbeat_interval
        return self.db.native.quiet_trials(study_id, int(seconds * 1000))

    def get_heartbeat_interval(self) -> Optional[int]:
        return self._heartbeat_interval

    def get_heartbeat_stale_trial_callback(self) -> Optional[Callable[[optuna.Study, FrozenTrial], None]]:
        return self._failed_trial_callback

    def get_failed_trial_callback(self) -> Optional[Callable[[optuna.Study, FrozenTrial], None]]:
        return self._failed_trial_callback


def pack(value: Any) -> Any:
    """Return the form of an attribute in the file: itself, or its JSON text where the file's JSON would change it."""
    text = json.dumps(value)
    plain = json.loads(text)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return {"__json__": text}
    is_long = re.search(r"\d{19}", text) is not None
    return {"__json__": text} if is_long or isinstance(plain, dict) and "__json__" in plain else plain


def _unpack_all(attributes: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    return {
        key: json.loads(value["__json__"]) if isinstance(value, dict) and "__json__" in value else value
        for key, value in (attributes or {}).items()
    }


def _number(value: Any) -> float:
    """Read a number of the file's JSON: null is NaN, infinities are texts."""
    return math.nan if value is None else float(value)


def _time(text: Optional[str], ms: Optional[int]) -> Optional[datetime]:
    if text is not None:
        return datetime.fromisoformat(text)
    return None if ms is None else datetime.fromtimestamp(ms / 1000)


def _curve(intermediate: Mapping[int, float]) -> List[float]:
    return [intermediate[step] for step in sorted(intermediate)]
