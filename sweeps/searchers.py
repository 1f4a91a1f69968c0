"""Ray's side of the search: the arms' proposers behind one Searcher, and how each trial ended."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher, SearchGenerator

from sweeps.confirm import build_confirm_trials, derive_seed, trial_seed
from sweeps.ledger import TrialEntry
from sweeps.proposers import METHODS
from sweeps.space import Arm
from sweeps.state import RunningSweep
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from trainer.config import Value
from trainer.trainable import ERROR, REPORTED_AT_END, TrialRequest


class ArmSearcher(Searcher):  # type: ignore[misc]  # Ray ships no types
    """Ray's side of the search: equal turns for all arms, then each arm's retrainings.

    Tune asks for one trial at a time. No more than `max_concurrent` are under way, so every proposal knows the outcome
    of all trials but those that run.
    """

    CHECKPOINT = "searcher-state.pkl"

    def __init__(self, sweep: RunningSweep, arms: tuple[Arm, ...], max_concurrent: int) -> None:
        super().__init__(metric=sweep.spec.metric.name, mode="max" if sweep.spec.metric.goal == "maximize" else "min")
        self._sweep = sweep
        self._arms = arms
        self._max_concurrent = max_concurrent
        spec = sweep.spec
        self._num_trials = sweep.num_trials
        method = METHODS[spec.method]
        self._proposers = {
            arm.name: method.build(arm, spec, derive_seed(spec.seed, spec.method, arm.name), self._num_trials[arm.name])
            for arm in arms
        }
        self._exhausted: set[str] = set()
        self._waiting_confirm: dict[str, list[TrialRequest]] = {}  # arm -> retrainings not yet started
        self._trial_of_ray: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next trial's config; None to be asked again later; FINISHED when no more can come."""
        ledger = self._sweep.ledger
        if self._sweep.stopping and not ledger.running():
            self._sweep.interrupt()
        if self._sweep.interrupted:
            return str(Searcher.FINISHED)
        if self._sweep.paused or self._sweep.stopping or len(ledger.running()) >= self._max_concurrent:
            return None
        self._check_budgets()
        request = self._next_search() or self._next_confirm()
        if request is None:
            return None if ledger.running() else str(Searcher.FINISHED)
        self._trial_of_ray[trial_id] = request.trial_id
        seed = request.parameters["seed"]
        ledger.add(
            TrialEntry(
                request.trial_id, request.arm, request.stage, request.number, _as_int(seed), dict(request.parameters)
            )
        )
        return request.to_ray()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passes an epoch's score to the arm's proposer."""
        entry = self._entry(trial_id)
        if entry.stage == STAGE_SEARCH and self.metric in result:
            self._proposers[entry.arm].report(entry.number, result["epoch"], float(result[self.metric]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settles how a trial ended, first of all who hear of it, and tells the arm's proposer."""
        entry = self._entry(trial_id)
        if entry.ended:
            return
        self._sweep.ledger.end(entry.trial_id, *conclude(entry, result or {}, error))
        assert entry.state is not None
        if entry.stage == STAGE_SEARCH:
            self._proposers[entry.arm].tell(entry.number, entry.state, entry.epoch, entry.last_score, entry.best_score)

    def _entry(self, ray_trial_id: str) -> TrialEntry:
        return self._sweep.ledger.entries[self._trial_of_ray[ray_trial_id]]

    def _check_budgets(self) -> None:
        spec, ledger = self._sweep.spec, self._sweep.ledger
        if ledger.consecutive_failures >= spec.budget.max_consecutive_failures:
            self._sweep.halt(f"budget: {ledger.consecutive_failures} trials failed in a row")

    def _next_search(self) -> TrialRequest | None:
        if self._sweep.halted or self._sweep.search_time_over():
            return None
        counts = {arm.name: sum(1 for _ in self._sweep.ledger.select(arm.name, STAGE_SEARCH)) for arm in self._arms}
        for arm in sorted(self._arms, key=lambda arm: counts[arm.name]):
            number, limit = counts[arm.name], self._num_trials[arm.name]
            if arm.name in self._exhausted or (limit is not None and number >= limit):
                continue
            parameters = self._proposers[arm.name].propose(number)
            if parameters is None:
                self._exhausted.add(arm.name)
                continue
            seeded = {"seed": trial_seed(self._sweep.spec.seed, number), **parameters}
            return TrialRequest(f"{slug(arm.name)}-{number:03d}", arm.name, STAGE_SEARCH, number, False, seeded)
        return None

    def _next_confirm(self) -> TrialRequest | None:
        if self._sweep.halted or self._sweep.spec.confirm.top == 0:
            return None
        for arm in self._arms:
            if arm.name not in self._waiting_confirm and self._search_over(arm.name):
                self._waiting_confirm[arm.name] = self._confirm_requests(arm.name)
        for requests in self._waiting_confirm.values():
            if requests:
                return requests.pop(0)
        return None

    def _search_over(self, arm: str) -> bool:
        entries = list(self._sweep.ledger.select(arm, STAGE_SEARCH))
        limit = self._num_trials[arm]
        proposed_all = (
            arm in self._exhausted or self._sweep.search_time_over() or (limit is not None and len(entries) >= limit)
        )
        return proposed_all and bool(entries) and all(entry.ended for entry in entries)

    def _confirm_requests(self, arm: str) -> list[TrialRequest]:
        spec = self._sweep.spec
        trials = build_confirm_trials(self._sweep.ledger.ranking(arm), spec.confirm, spec.seed)
        return [
            TrialRequest(f"{slug(arm)}-confirm-{number:02d}", arm, STAGE_CONFIRM, number, True, trial.parameters)
            for number, trial in enumerate(trials)
        ]

    # Tune asks for a picklable state with every snapshot. The sweep itself travels with the callback's state.
    _IN_SNAPSHOT = ("_proposers", "_exhausted", "_waiting_confirm", "_trial_of_ray")

    def save(self, checkpoint_path: str) -> None:
        """Writes proposers and counters; one pickle, so that studies and their open trials stay connected."""
        Path(checkpoint_path).write_bytes(pickle.dumps({name: getattr(self, name) for name in self._IN_SNAPSHOT}))

    def restore(self, checkpoint_path: str) -> None:
        """Reads what `save` wrote."""
        for name, value in pickle.loads(Path(checkpoint_path).read_bytes()).items():
            setattr(self, name, value)


class ResumableSearch(SearchGenerator):  # type: ignore[misc]  # Ray ships no types
    """Tune's wrapper of a searcher, which forgets over a resume that the searcher had nothing more to propose.

    Otherwise a sweep that was stopped between two trials would come back finished. The searcher says so again if it
    still holds.
    """

    def get_state(self) -> dict[str, Any]:
        """Tune's state of the search."""
        return {**super().get_state(), "finished": False}


def conclude(entry: TrialEntry, result: Mapping[str, Any], error: bool) -> tuple[TrialState, str, str]:
    """How a trial ended: its state, the reason in words, and the traceback of a failed one."""
    reported = result.get(REPORTED_AT_END)
    if error:
        return TrialState.FAILED, "the trial's process or node was lost too often", ""
    if reported == "failed":
        return TrialState.FAILED, str(result["failure"]), str(result[ERROR])
    if reported == "diverged":
        return TrialState.DIVERGED, f"diverged in epoch {result['epoch']}", ""
    if reported is not None:
        return TrialState.COMPLETED, str(reported), ""
    if entry.stop_reason:
        return TrialState.EARLY_STOPPED, entry.stop_reason, ""
    return TrialState.STOPPED, "stopped before its end", ""


def slug(text: str) -> str:
    """`text` with only the characters that file names and tags take everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text) or "_"


def _as_int(value: Value) -> int:
    assert isinstance(value, int)
    return value
