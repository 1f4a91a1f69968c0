"""A paused trial that goes on is opened again in its study, which then proposes what one made anew would."""

from pathlib import Path

import pytest
from play_search import build_searcher, finish, ledger_of
from played_trials import PlayedTune, build_growing_sweep, digest

from sweeps.search.study import StudyProposer
from tracking.names import STAGE_SEARCH

# All that could tell the two apart: branches, rounded values, points, constraints.
SWEEP = """
name: branches
method: METHOD
compare: optimizer
budget: {trials_per_arm: 30}
early_terminate: RULE
confirm: {top: 0}
points: [{batch_size: 48}]
constraints: ["batch_size * lr < 30"]
parameters:
  dataset: synthetic
  epochs: 9
  batch_size: {distribution: q_log_uniform_values, min: 16, max: 256, q: 16}
  schedule:
    choices:
      constant: {}
      step: {step_epochs: 3, gamma: {min: 0.1, max: 0.9}}
      cosine: {warmup_epochs: {values: [0, 1, 2]}}
  optimizer:
    choices:
      sgd: {lr: SPACE}
      momentum: {lr: SPACE, momentum: {min: 0.5, max: 0.99}}
"""
FLAT = SWEEP.replace(SWEEP[SWEEP.index("  schedule:") : SWEEP.index("  optimizer:")], "")


@pytest.mark.parametrize(("method", "text"), [("bayes", SWEEP), ("bayes", FLAT), ("gp", FLAT)])
def test_a_study_with_a_reopened_trial_is_one_made_anew(
    tmp_path: Path, method: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reopened = build_growing_sweep(tmp_path, method, "asha_promotion", 60, text)
    PlayedTune(reopened).run()
    monkeypatch.setattr(StudyProposer, "reopen", lambda _, __: False)
    made_anew = build_growing_sweep(tmp_path, method, "asha_promotion", 60, text)
    PlayedTune(made_anew).run()
    assert digest(reopened) == digest(made_anew)


def test_a_promotion_asks_nothing_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that were made anew would be asked for each of its trials."""
    sweep, num_asked, ask = build_growing_sweep(tmp_path, "bayes", "asha_promotion", 60), 0, StudyProposer._ask

    def count(proposer: StudyProposer, seed: int) -> object:
        nonlocal num_asked
        num_asked += 1
        return ask(proposer, seed)

    monkeypatch.setattr(StudyProposer, "_ask", count)
    PlayedTune(sweep).run()
    parts = [entry.part for entry in sweep.ledger.select(stage=STAGE_SEARCH)]
    assert sum(parts) > 10, "trials go on after a pause"
    assert num_asked == len(parts)


FEW = """
method: METHOD
budget: {trials: 8}
confirm: {top: 0}
parameters:
  dataset: synthetic
  epochs: 9
  SEED
  batch_size: {values: [16, 32, 64]}
  optimizer: {values: [sgd, adam]}
"""


def propose(folder: Path, seed: str, method: str = "bayes", number: int = 8) -> list[tuple[object, object]]:
    folder.mkdir()
    searcher = build_searcher(folder, method, text=FEW.replace("SEED", seed))
    for trial in range(number):
        assert searcher.suggest(f"ray-{trial}") is not None
        finish(searcher, f"ray-{trial}", 0.5 + trial / 100)
    entries = ledger_of(searcher).entries.values()
    return [(entry.parameters["batch_size"], entry.parameters["optimizer"]) for entry in entries]


@pytest.mark.parametrize("method", ["bayes", "gp"])
def test_a_trial_with_the_same_settings_and_seed_is_run_once_while_there_are_others(
    tmp_path: Path, method: str
) -> None:
    proposed = propose(tmp_path / "fixed", "seed: 3", method)
    assert len(set(proposed[:6])) == 6  # all that there are
    assert len(proposed) == 8  # and then some again, as `validate` says


def test_the_same_settings_with_another_seed_are_another_trial(tmp_path: Path) -> None:
    assert len(set(propose(tmp_path / "free", "crop_padding: 2", number=6))) < 6
