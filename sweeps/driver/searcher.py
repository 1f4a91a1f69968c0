"""Ray's side of the search: the arms' proposers behind one Searcher, and how each trial ended."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from sweeps.driver.prior import Prior
from sweeps.running.budgets import find_halt, is_plateau
from sweeps.running.lifecycle import close_trial, go_on, open_trial
from sweeps.running.sweep import RunningSweep
from sweeps.search.methods import METHODS
from sweeps.search.proposer import ArmSearch, Proposer
from sweeps.space.arms import Arm, contains
from sweeps.space.constraints import parse_constraint
from sweeps.stopping.rules import RULES
from sweeps.trials.confirm import build_confirm_trials
from sweeps.trials.ledger import TrialEntry
from sweeps.trials.seeds import derive_seed, trial_seed
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.ranking import Goal
from trainer.config import Value
from trainer.trainable import ERROR, REPORTED_AT_END, TrialRequest


class ArmSearcher(Searcher):  # type: ignore[misc]  # Ray ships no types
    """Ray's side of the search: equal turns for all arms, then each arm's retrainings.

    Tune asks for one trial at a time. No more than the sweep's slots are under way, so every proposal knows the outcome
    of all trials but those that run. What it proposes follows from the sweep's ledger alone, so a searcher made over
    the ledger of a sweep that was cut off goes on with it: first with the trials that had not ended, each from its
    last checkpoint.
    """

    def __init__(self, sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior | None = None) -> None:
        super().__init__(metric=sweep.spec.metric.name, mode="max" if sweep.goal is Goal.MAXIMIZE else "min")
        self._sweep = sweep
        self._arms = arms
        self._prior = prior or {}
        rule = sweep.spec.early_terminate
        self._changes_settings = rule is not None and RULES[rule.type].changes_settings
        self._end_stopped()
        self._proposers = {arm.name: self._build_proposer(arm) for arm in arms}
        self._exhausted: set[str] = set()
        self._confirm: dict[str, list[TrialRequest]] = {}  # arm -> its retrainings, once its search is over
        self._of_ray: dict[str, TrialEntry] = {}  # Ray's id -> trial
        self._cut_off = deque(entry for entry in sweep.ledger.running() if entry.active)

    def _end_stopped(self) -> None:
        """Ends the trials that were to be stopped when an earlier driver of the sweep ended."""
        for entry in list(self._sweep.ledger.select(stage=STAGE_SEARCH)):
            if entry.stop_reason and not entry.ended:
                open_trial(self._sweep, entry)
                self._sweep.ledger.end(entry.trial_id, TrialState.EARLY_STOPPED, entry.stop_reason)
                self._sweep.rules[entry.arm].forget(entry.number)
                close_trial(self._sweep, entry)

    def _build_proposer(self, arm: Arm) -> Proposer:
        """The arm's proposer, knowing all that is known by now."""
        spec, method = self._sweep.spec, METHODS[self._sweep.spec.method]
        seed = (
            derive_seed(spec.seed, method.name)
            if method.shares_points
            else derive_seed(spec.seed, method.name, arm.name)
        )
        search = ArmSearch(
            arm=arm,
            seed=seed,
            goal=self._sweep.goal,
            num_trials=self._sweep.num_trials[arm.name],
            constraints=tuple(map(parse_constraint, spec.constraints)),
            points=tuple(point for point in spec.points if contains(arm, point)),
            metrics=spec.metrics,
            impute=spec.metric.impute,
        )
        proposer = method.build(search)
        for trial in self._prior.get(arm.name, ()):
            proposer.learn(trial.parameters, trial.score)
        entries = list(self._sweep.ledger.select(arm.name, STAGE_SEARCH))
        for entry in entries:
            proposer.recall(entry)
        for entry in sorted(entries, key=lambda entry: entry.ended_as):  # what one counts as may hang on those before
            if not entry.active:
                proposer.tell(entry)
        return proposer

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next trial's config; None to be asked again later; FINISHED when no more can come."""
        num_under_way = len({entry.trial_id for entry in self._of_ray.values() if entry.active})
        if self._sweep.stopping and not num_under_way:
            self._sweep.interrupt()
        if self._sweep.interrupted:
            return str(Searcher.FINISHED)
        if self._sweep.paused or self._sweep.stopping or num_under_way >= self._sweep.slots:
            return None
        self._check_budgets()
        request = self._next_cut_off() or self._next_promoted() or self._next_search() or self._next_confirm()
        if request is None and num_under_way:
            return None
        if request is None:
            self._sweep.finished = True
            return str(Searcher.FINISHED)
        self._of_ray[trial_id] = self._sweep.ledger.entries[request.trial_id]
        return request.to_ray()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settles how a trial ended, first of all who hear of it, and tells the arm's proposer."""
        entry = self._of_ray[trial_id]
        if entry.ended:
            return
        if entry.pausing and not error and REPORTED_AT_END not in (result or {}):
            self._sweep.ledger.pause(entry)
            self._proposers[entry.arm].tell(entry)
            return
        self._sweep.ledger.end(entry.trial_id, *conclude(entry, result or {}, error))
        if entry.stage == STAGE_SEARCH:
            self._proposers[entry.arm].tell(entry)
            if entry.state in (TrialState.FAILED, TrialState.EARLY_STOPPED):
                self._sweep.rules[entry.arm].forget(entry.number)

    def _check_budgets(self) -> None:
        if reason := find_halt(self._sweep.spec, self._sweep.ledger):
            self._sweep.halt(reason)

    def _next_cut_off(self) -> TrialRequest | None:
        """The next trial that an earlier driver of this sweep left unfinished."""
        if not self._cut_off:
            return None
        return self._go_on(self._cut_off.popleft())

    def _next_promoted(self) -> TrialRequest | None:
        """The next paused trial that has earned to go on; of several arms, that of the one with the fewest epochs."""
        if self._sweep.halted:
            return None
        tallies = self._sweep.ledger.tallies
        for arm in sorted(self._arms, key=lambda arm: tallies[arm.name].num_epochs):
            entry = None if self._sweep.search_end(arm.name) else self._find_promoted(arm.name)
            if entry is not None:
                go_on(self._sweep, entry)
                entry.part += 1
                if METHODS[self._sweep.spec.method].learns:  # a study cannot reopen what it was told
                    self._proposers[arm.name] = self._build_proposer(arm)
                self._sweep.folder.drop_old_checkpoints(entry.trial_id)
                return self._go_on(entry)
        return None

    def _find_promoted(self, arm: str) -> TrialEntry | None:
        """The paused trial of an arm that its rule lets go on, None while there is none, or it is still being saved."""
        rule, entries = self._sweep.rules[arm], list(self._sweep.ledger.select(arm, STAGE_SEARCH))
        if self._proposed_all(arm):
            rule.close(len(entries))
        if self._changes_settings and any(entry.pausing for entry in entries):
            return None  # one that is still being saved may be the donor of another
        while True:
            number = rule.next_promoted()
            if number is None and self._is_without_end(arm):
                number = rule.best_paused()
            if number is None:
                return None
            entry = next(each for each in entries if each.number == number)
            if entry.active:
                return None
            rule.promote(number)
            if entry.paused:  # what ended at a rung, by a budget say, holds its place there and does not go on
                return entry

    def _is_without_end(self, arm: str) -> bool:
        """Whether no more trials of an arm come, and none of it has been trained in full."""
        return self._search_over(arm) and self._sweep.ledger.count(arm, TrialState.COMPLETED) == 0

    def _go_on(self, entry: TrialEntry) -> TrialRequest:
        """A trial as far as its last checkpoint has it."""
        return TrialRequest(
            entry.trial_id,
            entry.arm,
            entry.stage,
            entry.number,
            entry.stage == STAGE_CONFIRM,
            entry.parameters,
            self._list_checkpoints(entry.trial_id),
            self._sweep.rules[entry.arm].pause_epochs if entry.stage == STAGE_SEARCH else (),
            entry.part,
            self._list_checkpoints(entry.donor_id) if entry.donor_id else (),
            entry.donor_epoch,
            entry.epoch if entry.pausing else 0,
        )

    def _list_checkpoints(self, trial_id: str) -> tuple[str, ...]:
        return tuple(str(folder) for folder in self._sweep.folder.checkpoints(trial_id))

    def _next_search(self) -> TrialRequest | None:
        if self._sweep.halted or is_plateau(self._sweep.spec, self._sweep.ledger):
            return None
        counts = {arm.name: sum(1 for _ in self._sweep.ledger.select(arm.name, STAGE_SEARCH)) for arm in self._arms}
        for arm in sorted(self._arms, key=lambda arm: counts[arm.name]):
            number, limit = counts[arm.name], self._sweep.num_trials[arm.name]
            used_up = limit is not None and number >= limit
            if arm.name in self._exhausted or used_up or self._sweep.search_end(arm.name):
                continue
            parameters = self._proposers[arm.name].propose(number)
            if parameters is None:
                self._exhausted.add(arm.name)
                continue
            seeded = {"seed": trial_seed(self._sweep.spec.seed, number), **parameters}
            trial_id = f"{slug(arm.name)}-{number:03d}"
            pause_epochs = self._sweep.rules[arm.name].pause_epochs
            return self._add(
                TrialRequest(trial_id, arm.name, STAGE_SEARCH, number, False, seeded, checkpoint_epochs=pause_epochs)
            )
        return None

    def _next_confirm(self) -> TrialRequest | None:
        if self._sweep.halted:
            return None
        for arm in self._arms:
            if arm.name not in self._confirm and self._search_over(arm.name):
                self._end_paused(arm.name)
                self._confirm[arm.name] = self._confirm_requests(arm.name)
        for requests in self._confirm.values():
            for request in requests:
                if request.trial_id not in self._sweep.ledger.entries:
                    return self._add(request)
        return None

    def _add(self, request: TrialRequest) -> TrialRequest:
        """Takes a new trial into the ledger."""
        seed = _as_int(request.parameters["seed"])
        self._sweep.ledger.add(
            TrialEntry(request.trial_id, request.arm, request.stage, request.number, seed, dict(request.parameters))
        )
        return request

    def _search_over(self, arm: str) -> bool:
        entries = list(self._sweep.ledger.select(arm, STAGE_SEARCH))
        return self._proposed_all(arm) and bool(entries) and not any(entry.active for entry in entries)

    def _proposed_all(self, arm: str) -> bool:
        limit = self._sweep.num_trials[arm]
        return (
            arm in self._exhausted
            or (limit is not None and sum(1 for _ in self._sweep.ledger.select(arm, STAGE_SEARCH)) >= limit)
            or bool(self._sweep.search_end(arm))
            or is_plateau(self._sweep.spec, self._sweep.ledger)
        )

    def _end_paused(self, arm: str) -> None:
        """Ends the trials that have waited in vain, now that no more can come to let them go on."""
        for entry in list(self._sweep.ledger.select(arm, STAGE_SEARCH)):
            if entry.paused:
                reason = self._sweep.search_end(arm) or self._sweep.rules[arm].explain_pause(entry.number)
                open_trial(self._sweep, entry)  # unless it is, from before a resume
                self._sweep.ledger.end(entry.trial_id, TrialState.EARLY_STOPPED, reason)
                close_trial(self._sweep, entry)

    def _confirm_requests(self, arm: str) -> list[TrialRequest]:
        spec = self._sweep.spec
        trials = build_confirm_trials(
            self._sweep.ledger.ranking(arm), top=spec.confirm.top, seeds=spec.confirm.seeds, sweep_seed=spec.seed
        )
        return [
            TrialRequest(f"{slug(arm)}-confirm-{number:02d}", arm, STAGE_CONFIRM, number, True, trial.parameters)
            for number, trial in enumerate(trials)
        ]

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: Tune asks with every snapshot of its own, and a sweep is resumed from its journal."""


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
