"""What becomes of a trial after a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from sweeps.home import SweepFolder
from sweeps.running.lifecycle import TrialResult, propose, start, take_result
from sweeps.running.replay import DeafRecorder
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialEntry
from tracking.names import STAGE_SEARCH, TRAIN_SECONDS, VALIDATION_SECONDS
from tracking.ranking import Goal
from tracking.recording.recorder import Recorder

Run = Callable[[str, str, Sequence[Sequence[float]]], list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs trials one after another, under a rule with one rung after epoch 2; why each stopped, "" if none did."""

    def run(rule: str, metric: str, curves: Sequence[Sequence[float]]) -> list[str]:
        file = tmp_path / "sweep.yaml"
        file.write_text(
            f"method: random\nbudget: {{trials: 4}}\nmetric: {metric}\n"
            f"early_terminate: {{type: {rule}, min_iter: 2, eta: 2}}\n"
            "parameters: {epochs: 4, lr: {min: 0.1, max: 0.2}}\n"
        )
        spec = load_spec(file)
        sweep = RunningSweep(
            sweep_id="s",
            spec=spec,
            ledger=Ledger(Goal(spec.metric.goal), ("all",)),
            rules=ArmRules(("all",), spec.early_terminate, 4, {"all": 4}, 0),
            recorder=cast("Recorder", DeafRecorder()),
            folder=SweepFolder(tmp_path),
            num_trials={"all": 4},
        )
        reasons = []
        for number, curve in enumerate(curves):
            entry = TrialEntry(f"all-{number:03d}", "all", STAGE_SEARCH, number, number, {"lr": 0.1})
            propose(sweep, entry)
            start(sweep, entry)
            for epoch, value in enumerate(curve, start=1):
                metrics = {spec.metric.name: value, TRAIN_SECONDS: 1.0, VALIDATION_SECONDS: 1.0}
                if not take_result(sweep, entry, TrialResult(epoch, metrics), now_ms=0):
                    break
            reasons.append(entry.stop_reason)
        return reasons

    return run


@pytest.mark.parametrize("rule", ["asha", "hyperband"])
@pytest.mark.parametrize(
    ("metric", "curves"),
    [
        ("{name: val_accuracy, goal: maximize}", [(0.5, 0.1), (0.3, 0.4), (0.1, 0.6)]),
        ("{name: val_loss, goal: minimize}", [(1.0, 2.0), (1.6, 1.5), (1.9, 0.9)]),
    ],
)
def test_a_trial_is_ranked_at_a_rung_by_its_best_score_so_far(
    run: Run, rule: str, metric: str, curves: Sequence[Sequence[float]]
) -> None:
    first, second, third = run(rule, metric, curves)
    assert (first, third) == ("", "")
    assert second == f"{rule}: rank 2 of 2 at epoch 2, the best 1 go on"
