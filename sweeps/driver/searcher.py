"""Ray's side of the search: the arms' proposers behind one Searcher, and how each trial ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from ray.tune.search import Searcher

from sweeps.driver.prior import Prior
from sweeps.driver.results import classify_end
from sweeps.driver.room import RoomWatch
from sweeps.running.budgets import find_halt, is_plateau
from sweeps.running.lifecycle import Ending, end, end_paused, end_told, let_go, propose, resume
from sweeps.running.retraining import Retrainings
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.search.methods import METHODS
from sweeps.search.proposer import ArmSearch, Proposer
from sweeps.space.arms import Arm, contains
from sweeps.space.constraints import parse_constraint
from sweeps.stopping.rules import RULES
from sweeps.trials.ledger import TrialEntry, TrialPhase
from sweeps.trials.naming import name_arms, search_id
from sweeps.trials.seeds import derive_seed, trial_seed
from tracking.names import STAGE_SEARCH, TESTED_STAGES, TrialState
from tracking.ranking import Goal
from trainer.config import Value
from trainer.trainable import TrialRequest


class ArmSearcher(Searcher):  # type: ignore[misc]  # Ray ships no types
    """Ray's side of the search: equal turns for all arms, then each arm's retrainings.

    Tune asks for one trial at a time. No more than the sweep's slots are under way, so every proposal knows the outcome
    of all trials but those that run. What it proposes follows from the sweep's ledger alone, so a searcher made over
    the ledger of a sweep that was cut off goes on with it: first with the trials that had not ended, each from its
    last checkpoint.
    """

    def __init__(
        self, sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior | None = None, room: RoomWatch | None = None
    ) -> None:
        super().__init__(metric=sweep.spec.metric.name, mode="max" if sweep.goal is Goal.MAXIMIZE else "min")
        self._sweep = sweep
        self._arms = arms
        self._prior = prior or {}
        self._room = room or RoomWatch(sweep)
        rule = sweep.spec.early_terminate
        self._changes_settings = rule is not None and RULES[rule.type].changes_settings
        end_told(sweep)
        self._told: set[str] = set()  # trials of which their arm's proposer has been told, as they stand
        self._proposers = {arm.name: self._build_proposer(arm) for arm in arms}
        self._exhausted: set[str] = set()
        self._of_ray: dict[str, TrialEntry] = {}  # Ray's id -> trial whose process has not let go of it
        self._given_out: set[str] = set()  # trials that Tune was given
        self._slugs = name_arms((arm.name for arm in arms), sweep.ledger.entries.values())
        self._retrainings = Retrainings(sweep, arms, self._slugs)
        self._cut_off = deque(entry for entry in sweep.ledger.running() if entry.active)
        sweep.listeners.append(self._hear)

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
                self._told.add(entry.trial_id)
        return proposer

    def _hear(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:  # noqa: ARG002
        """Tells the arm's proposer, once, what a search trial that ended or waits has come to."""
        if entry is None or event not in (TrialEvent.ENDED, TrialEvent.PAUSED):
            return
        if entry.stage == STAGE_SEARCH and entry.trial_id not in self._told:
            self._told.add(entry.trial_id)
            self._proposers[entry.arm].tell(entry)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next trial's config; None to be asked again later; FINISHED when no more can come."""
        num_under_way = sum(entry.trial_id in self._given_out for entry in self._sweep.ledger.active)
        if self._sweep.stopping and not num_under_way:
            self._sweep.interrupt()
        if self._sweep.interrupted:
            return str(Searcher.FINISHED)
        if self._sweep.held and not self._room.look():  # Tune, with nothing that runs, asks here and nowhere else
            self._sweep.interrupt()
            return str(Searcher.FINISHED)
        is_held = self._sweep.paused or self._sweep.stopping or bool(self._sweep.held)
        if is_held or num_under_way >= self._sweep.slots:
            return None
        self._check_budgets()
        request = self._next_cut_off() or self._next_promoted() or self._next_search() or self._next_retraining()
        if request is None and num_under_way:
            return None
        if request is None:
            self._sweep.finished = True
            return str(Searcher.FINISHED)
        self._of_ray[trial_id] = self._sweep.ledger.entries[request.trial_id]
        self._given_out.add(request.trial_id)
        return request.to_ray()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Notes that a trial's process has let go of it. Of one that was lost, the callback knows why."""
        entry = self._of_ray.pop(trial_id, None)
        if entry is None:  # it has let go before, and a process that was about to end was lost
            return
        if result is not None:
            let_go(self._sweep, entry, classify_end(result))
        elif not error:
            end(self._sweep, entry, Ending(TrialState.STOPPED, "stopped before its end"))

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
                resume(self._sweep, entry)
                entry.part += 1
                self._told.discard(entry.trial_id)
                if not self._proposers[arm.name].reopen(entry):
                    self._proposers[arm.name] = self._build_proposer(arm)
                self._sweep.folder.drop_old_checkpoints(entry.trial_id)
                return self._go_on(entry)
        return None

    def _find_promoted(self, arm: str) -> TrialEntry | None:
        """The paused trial of an arm that its rule lets go on, None while there is none, or it is still being saved."""
        rule, ledger = self._sweep.rules[arm], self._sweep.ledger
        if self._proposed_all(arm):
            rule.close(ledger.num_proposed(arm))
        if self._changes_settings and any(each.phase is TrialPhase.PAUSING for each in self._list_active(arm)):
            return None  # one that is still being saved may be the donor of another
        number = rule.next_promoted()
        if number is None and self._is_without_end(arm):
            number = rule.best_paused()
        entry = None if number is None else ledger.find(arm, number)
        return entry if entry is not None and entry.phase is TrialPhase.PAUSED else None

    def _is_without_end(self, arm: str) -> bool:
        """Whether no more trials of an arm come, and none of it has been trained in full."""
        return self._search_over(arm) and self._sweep.ledger.count(arm, TrialState.COMPLETED) == 0

    def _go_on(self, entry: TrialEntry) -> TrialRequest:
        """A trial as far as its last checkpoint has it."""
        return TrialRequest(
            trial_id=entry.trial_id,
            arm=entry.arm,
            stage=entry.stage,
            number=entry.number,
            read_test=entry.stage in TESTED_STAGES,
            parameters=entry.parameters,
            checkpoints=self._list_checkpoints(entry.trial_id),
            checkpoint_epochs=self._sweep.rules[entry.arm].pause_epochs if entry.stage == STAGE_SEARCH else (),
            part=entry.part,
            donor_checkpoints=self._list_checkpoints(entry.donor_id) if entry.donor_id else (),
            donor_epoch=entry.donor_epoch,
            repeat_epoch=entry.epoch if entry.phase is TrialPhase.PAUSING else 0,
        )

    def _list_checkpoints(self, trial_id: str) -> tuple[str, ...]:
        return tuple(str(folder) for folder in self._sweep.folder.checkpoints(trial_id))

    def _next_search(self) -> TrialRequest | None:
        if self._sweep.halted or is_plateau(self._sweep.spec, self._sweep.ledger):
            return None
        ledger = self._sweep.ledger
        for arm in sorted(self._arms, key=lambda arm: ledger.num_proposed(arm.name)):
            if self._proposed_enough(arm.name) or self._sweep.search_end(arm.name):
                continue
            number = ledger.find_free_number(arm.name)
            parameters = self._proposers[arm.name].propose(number)
            if parameters is None:
                self._exhausted.add(arm.name)
                continue
            seeded = {"seed": trial_seed(self._sweep.spec.seed, number), **parameters}
            trial_id = search_id(self._slugs[arm.name], number)
            pause_epochs = self._sweep.rules[arm.name].pause_epochs
            return self._add(
                TrialRequest(trial_id, arm.name, STAGE_SEARCH, number, False, seeded, checkpoint_epochs=pause_epochs)
            )
        return None

    def _next_retraining(self) -> TrialRequest | None:
        if self._sweep.halted:
            return None
        for arm in self._arms:
            if not self._retrainings.is_open(arm.name) and self._search_over(arm.name):
                end_paused(self._sweep, arm.name)
                self._retrainings.open(arm.name)
        entry = self._retrainings.next()
        if entry is None:
            return None
        propose(self._sweep, entry)
        return self._go_on(entry)

    def _add(self, request: TrialRequest) -> TrialRequest:
        """Takes a new trial into the ledger."""
        seed = _as_int(request.parameters["seed"])
        names = request.trial_id, request.arm, request.stage, request.number
        propose(self._sweep, TrialEntry(*names, seed, dict(request.parameters)))
        return request

    def _search_over(self, arm: str) -> bool:
        has_any = self._sweep.ledger.num_proposed(arm) > 0
        return self._proposed_all(arm) and has_any and not any(self._list_active(arm))

    def _list_active(self, arm: str) -> Iterator[TrialEntry]:
        """The search trials of an arm that run, or wait for nothing but their process."""
        return (each for each in self._sweep.ledger.active if each.arm == arm and each.stage == STAGE_SEARCH)

    def _proposed_all(self, arm: str) -> bool:
        return (
            self._proposed_enough(arm)
            or bool(self._sweep.search_end(arm))
            or is_plateau(self._sweep.spec, self._sweep.ledger)
        )

    def _proposed_enough(self, arm: str) -> bool:
        """Whether an arm has had as many search trials as it may, or as its space has."""
        limit = self._sweep.num_trials[arm]
        return arm in self._exhausted or (limit is not None and self._sweep.ledger.num_proposed(arm) >= limit)

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: Tune asks with every snapshot of its own, and a sweep is resumed from its journal."""


def _as_int(value: Value) -> int:
    assert isinstance(value, int)
    return value
