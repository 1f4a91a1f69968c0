"""Ray's side of early stopping: hands each result on, and carries out what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.driver.results import ResultReader
from sweeps.running.lifecycle import take_result
from sweeps.running.sweep import RunningSweep
from trainer.config.own_rows import runs_own_code
from trainer.trainable import STOP_REASON, parse_trial

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class ArmScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray ships no types
    """Takes in the results of all trials.

    A pause is, for Tune, the end of a trial: the searcher proposes it again, with its checkpoints, when it has earned
    to go on.
    """

    def __init__(self, sweep: RunningSweep) -> None:
        super().__init__()
        self._sweep = sweep
        self._reader = ResultReader(sweep)

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Decides on a result that did not end the trial by itself."""
        return str(TrialScheduler.CONTINUE if self._take(trial, result) else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:
        """Takes in the last result of a trial that ended by itself, of which Tune asks for no decision."""
        if STOP_REASON in result:
            self._take(trial, result)
        if result.get(STOP_REASON) == "failed" or runs_own_code(parse_trial(trial.config).parameters):
            _retire_process(tune_controller, trial)

    def _take(self, trial: Trial, result: dict[str, Any]) -> bool:
        entry = self._sweep.ledger.entries[parse_trial(trial.config).trial_id]
        return take_result(self._sweep, entry, self._reader.read(entry, result), self._sweep.clock_ms())


def _retire_process(tune_controller: TuneController, trial: Trial) -> None:
    """Keeps Tune from giving the process of a trial that is about to end to another trial.

    Whatever code of the user's has left in it (threads, a working directory, torch's defaults, patched modules), or an
    error has (a CUDA device that refuses all further work), goes with it. Tune keeps processes only of those that it
    counts as started.
    """
    tune_controller._started_actors.discard(tune_controller._trial_to_actor.get(trial))
