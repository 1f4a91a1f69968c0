import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest
from play_search import SWEEP, adapt, build_searcher, finish, ledger_of, play, tell_to_stop

from sweeps.driver.results import classify_end
from sweeps.driver.searcher import ArmSearcher
from sweeps.running.lifecycle import Ending
from sweeps.search.methods import METHODS
from sweeps.search.proposer import ArmSearch
from sweeps.search.sampling import RandomProposer, SobolProposer
from sweeps.search.study import StudyProposer
from sweeps.spec import SweepSpec, load_spec
from sweeps.spec.arms import build_arms, num_search_trials
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from trainer.trainable import parse_trial


def test_arms_take_turns(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path))
    assert [request.arm for request in requests[:4]] == ["sgd", "adam", "sgd", "adam"]


def test_paired_trials_share_their_seed(tmp_path: Path) -> None:
    requests = [request for request in play(build_searcher(tmp_path)) if request.stage == STAGE_SEARCH]
    seeds = {arm: [request.parameters["seed"] for request in requests if request.arm == arm] for arm in ("sgd", "adam")}
    assert seeds["sgd"] == seeds["adam"]
    assert len(set(seeds["sgd"])) == 4


def test_no_more_trials_than_slots(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path, slots=2)
    assert isinstance(searcher.suggest("0"), dict)
    assert isinstance(searcher.suggest("1"), dict)
    assert searcher.suggest("2") is None
    finish(searcher, "0", 0.5)
    assert isinstance(searcher.suggest("3"), dict)


def test_a_node_that_joins_is_used_and_one_that_left_is_not_waited_for(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path, slots=1)
    assert isinstance(searcher.suggest("0"), dict)
    assert searcher.suggest("1") is None
    searcher._sweep.slots = 3
    assert isinstance(searcher.suggest("1"), dict)
    assert isinstance(searcher.suggest("2"), dict)
    searcher._sweep.slots = 1
    finish(searcher, "0", 0.5)
    assert searcher.suggest("3") is None  # two still run


def test_only_retrainings_read_the_test_split_and_they_take_the_best(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path))
    assert [request.read_test for request in requests] == [request.stage == STAGE_CONFIRM for request in requests]
    for arm in ("sgd", "adam"):
        search = [request for request in requests if request.arm == arm and request.stage == STAGE_SEARCH]
        confirm = [request for request in requests if request.arm == arm and request.stage == STAGE_CONFIRM]
        assert all(request.parameters["lr"] == search[-1].parameters["lr"] for request in confirm)  # scores rise
        assert len({request.parameters["seed"] for request in confirm}) == 2


def test_repeated_failures_end_the_sweep_without_retraining(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    for number in range(3):
        assert isinstance(searcher.suggest(str(number)), dict)
        searcher.on_trial_complete(
            str(number), {"epoch": 0, "stop_reason": "failed", "failure": "ValueError: no", "error": "Traceback"}
        )
    assert searcher.suggest("3") == "FINISHED"
    assert "3 trials failed in a row" in searcher._sweep.halted


def test_failures_of_one_arm_in_a_row_end_the_sweep_however_the_others_fare(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    for number in range(5):
        config = searcher.suggest(str(number))
        assert isinstance(config, dict), number
        if config["arm"] == "sgd":
            searcher.on_trial_complete(
                str(number), {"epoch": 0, "stop_reason": "failed", "failure": "ValueError: no", "error": "Traceback"}
            )
        else:
            finish(searcher, str(number), 0.5)
    assert searcher.suggest("5") == "FINISHED"
    assert searcher._sweep.halted == "budget: 3 trials of sgd failed in a row"


def test_when_the_target_is_reached_the_best_are_still_retrained(tmp_path: Path) -> None:
    text = SWEEP.replace("{trials_per_arm: 4}", "{trials_per_arm: 4, target: 0.6}")
    searcher = build_searcher(tmp_path, text=text)
    for ray_id, score in (("0", 0.5), ("1", 0.7)):
        searcher.suggest(ray_id)
        finish(searcher, ray_id, score)
    stages = [parse_trial(config).stage for config in rest_of(searcher)]
    assert stages == [STAGE_CONFIRM] * 4


def test_without_anything_better_in_any_arm_the_search_ends(tmp_path: Path) -> None:
    text = SWEEP.replace("{trials_per_arm: 4}", "{trials_per_arm: 100, plateau: 2}")
    searcher = build_searcher(tmp_path, text=text)
    scores = {"sgd": [0.5, 0.4, 0.3, 0.2, 0.1], "adam": [0.5, 0.4, 0.6, 0.5, 0.6]}  # adam's last two bring nothing
    for number in range(10):
        config = searcher.suggest(str(number))
        assert isinstance(config, dict)
        assert config["stage"] == STAGE_SEARCH, number
        finish(searcher, str(number), scores[config["arm"]][config["number"]])
    config = searcher.suggest("10")
    assert isinstance(config, dict)
    assert config["stage"] == STAGE_CONFIRM


def test_an_arm_that_has_had_its_epochs_gets_no_more(tmp_path: Path) -> None:
    text = SWEEP.replace("{trials_per_arm: 4}", "{epochs_per_arm: 3}")
    searcher = build_searcher(tmp_path, text=text)
    searcher.suggest("0")
    finish(searcher, "0", 0.5, epochs=3)
    arms = []
    for number in range(1, 4):
        config = searcher.suggest(str(number))
        assert isinstance(config, dict)
        arms.append((config["arm"], config["stage"]))
        finish(searcher, str(number), 0.5, epochs=1)
    assert arms == [("adam", STAGE_SEARCH), ("adam", STAGE_SEARCH), ("adam", STAGE_SEARCH)]


def rest_of(searcher: ArmSearcher) -> list[dict[str, Any]]:
    """Everything that is still proposed, each ended before the next."""
    found = []
    while isinstance(config := searcher.suggest(ray_id := f"rest-{len(found)}"), dict):
        found.append(config)
        finish(searcher, ray_id, 0.5)
    return found


def test_a_grid_ends_with_the_combinations_that_fulfil_the_constraints(tmp_path: Path) -> None:
    text = f"constraints: lr >= 0.01 and batch_size == 32\n{adapt('grid')}"
    requests = play(build_searcher(tmp_path, "grid", text=text))
    search = [(request.arm, request.parameters["lr"]) for request in requests if request.stage == STAGE_SEARCH]
    assert search == [("sgd", 0.01), ("adam", 0.01), ("sgd", 0.1)]


def test_a_study_learns_from_earlier_trials(tmp_path: Path) -> None:
    spec = build_searcher(tmp_path, "bayes")._sweep.spec
    arm = build_arms(spec)[0]
    proposer = METHODS["bayes"].build(ArmSearch(arm, 0, num_trials=9))
    assert isinstance(proposer, StudyProposer)
    for number in range(30):
        lr = 10 ** (-3 + number / 10)
        proposer.learn(
            {"dataset": "synthetic", "epochs": 9, "batch_size": 32, "optimizer": "sgd", "lr": lr}, -abs(lr - 0.1)
        )
    proposed = [cast("float", cast("dict[str, Any]", proposer.propose(number))["lr"]) for number in range(20)]
    assert sum(0.03 < lr < 0.3 for lr in proposed) >= 12, proposed  # a third of draws at random would lie there


@pytest.mark.parametrize(("impute", "expected"), [("worst", 0.2), ("best", 0.4), ("latest", 0.3)])
def test_what_diverged_counts_as_the_sweep_says(impute: str, expected: float, tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path, "bayes", text=SWEEP + f"metric: {{impute: {impute}}}\n", slots=10)
    for ray_id in "0123":
        searcher.suggest(ray_id)
    finish(searcher, "0", 0.2)  # sgd
    trial = searcher._of_ray["2"].trial_id
    for epoch, score in enumerate((0.4, 0.3), 1):
        ledger_of(searcher).record_epoch(trial, epoch, score, 1.0)
    searcher.on_trial_complete("2", {"epoch": 3, "stop_reason": "diverged"})
    proposer = searcher._proposers["sgd"]
    assert isinstance(proposer, StudyProposer)
    assert [trial.value for trial in proposer.study.trials] == [0.2, expected]


@pytest.mark.parametrize("method", ["gp", "genetic"])
def test_what_diverged_counts_as_the_worst_so_far_also_after_a_resume(method: str, tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path, method, slots=10)
    for ray_id in "01234567":
        searcher.suggest(ray_id)
    finish(searcher, "4", 0.5)  # sgd, its third
    searcher.on_trial_complete("0", {"epoch": 1, "stop_reason": "diverged"})
    finish(searcher, "2", 0.3)
    searcher.on_trial_complete("6", {"epoch": 1, "stop_reason": "diverged"})
    again = build_searcher(tmp_path, method, known=ledger_of(searcher))
    for proposer in (searcher._proposers["sgd"], again._build_proposer(again._arms[0])):
        assert isinstance(proposer, StudyProposer)
        assert [trial.value for trial in proposer.study.trials] == [0.5, 0.3, 0.5, 0.3]


def test_of_several_metrics_a_study_hears_nothing_of_what_was_stopped(tmp_path: Path) -> None:
    text = SWEEP + "metrics: [{name: val_accuracy}, {name: train_seconds}]\n"
    searcher = build_searcher(tmp_path, "bayes", text=text)
    searcher.suggest("0")
    tell_to_stop(searcher, "0")
    ledger_of(searcher).record_epoch("sgd-000", 1, 0.4, 1.0, {"val_accuracy": 0.4, "train_seconds": 1.0})
    searcher.on_trial_complete("0", {"epoch": 1, "val_accuracy": 0.4})
    proposer = searcher._proposers["sgd"]
    assert isinstance(proposer, StudyProposer)
    assert [trial.state for trial in proposer.study.trials] == [optuna.trial.TrialState.FAIL]


def test_of_several_metrics_what_diverged_counts_as_the_worst_of_each(tmp_path: Path) -> None:
    text = SWEEP + "metrics: [{name: val_accuracy}, {name: train_seconds}]\n"
    searcher = build_searcher(tmp_path, "bayes", text=text, slots=10)
    for ray_id in "012345":
        searcher.suggest(ray_id)
    for ray_id, accuracy, seconds in (("0", 0.4, 5.0), ("2", 0.6, 9.0)):
        trial_id = searcher._of_ray[ray_id].trial_id
        ledger_of(searcher).record_epoch(
            trial_id, 1, accuracy, 1.0, {"val_accuracy": accuracy, "train_seconds": seconds}
        )
        searcher.on_trial_complete(ray_id, {"epoch": 1, "val_accuracy": accuracy, "stop_reason": "epochs"})
    searcher.on_trial_complete("4", {"epoch": 1, "stop_reason": "diverged"})
    proposer = searcher._proposers["sgd"]
    assert isinstance(proposer, StudyProposer)
    assert [trial.values for trial in proposer.study.trials] == [[0.4, 5.0], [0.6, 9.0], [0.4, 9.0]]


def test_when_the_time_is_up_the_best_are_still_retrained(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    searcher.suggest("0")
    finish(searcher, "0", 0.5)
    sweep = searcher._sweep
    sweep.spec = sweep.spec.model_copy(update={"budget": sweep.spec.budget.model_copy(update={"hours": 1.0})})
    sweep.begin(sweep.clock_ms() - 3_600_001)
    config = searcher.suggest("1")
    assert isinstance(config, dict)
    assert (config["arm"], config["stage"]) == ("sgd", STAGE_CONFIRM)


def test_optuna_hears_the_truth(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path, "bayes", slots=10)
    outcomes: list[tuple[dict[str, Any], float]] = [
        ({"stop_reason": "epochs"}, 0.6),
        ({"stop_reason": "diverged"}, math.nan),
        ({"stop_reason": "failed", "failure": "x", "error": "x"}, 0.5),
        ({}, 0.4),  # stopped by the scheduler
    ]
    for number, (result, score) in enumerate(outcomes):
        ray_ids = [str(2 * number), str(2 * number + 1)]
        for ray_id in ray_ids:
            searcher.suggest(ray_id)
        if not result:
            for ray_id in ray_ids:
                tell_to_stop(searcher, ray_id)
        for ray_id in ray_ids:
            trial_id = searcher._of_ray[ray_id].trial_id
            ledger_of(searcher).record_epoch(trial_id, 1, score, 1.0)
            searcher.on_trial_complete(ray_id, {"epoch": 1, "val_accuracy": score, **result})
    states = optuna.trial.TrialState
    for proposer in searcher._proposers.values():
        assert isinstance(proposer, StudyProposer)
        trials = proposer.study.trials
        assert [trial.state for trial in trials] == [states.COMPLETE, states.PRUNED, states.FAIL, states.PRUNED]
        assert trials[0].value == 0.6
        assert trials[1].intermediate_values == {}
        assert trials[3].intermediate_values == {1: 0.4}


def test_sobol_gives_every_arm_the_same_points(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, "sobol"))
    search = [request for request in requests if request.stage == STAGE_SEARCH]
    sgd, adam = ([request for request in search if request.arm == arm] for arm in ("sgd", "adam"))
    for one, other in zip(sgd, adam, strict=True):
        assert one.parameters["batch_size"] == other.parameters["batch_size"]
        position = math.log(cast("float", one.parameters["lr"]) / 1e-3) / math.log(1e3)
        assert math.isclose(position, math.log(cast("float", other.parameters["lr"]) / 1e-5) / math.log(1e4))


def test_draw_number_n_does_not_depend_on_what_was_drawn_before(tmp_path: Path) -> None:
    arm = build_arms(build_searcher(tmp_path)._sweep.spec)[1]
    for proposer in (RandomProposer(ArmSearch(arm, 3)), SobolProposer(ArmSearch(arm, 3))):
        late = proposer.propose(2)
        assert [proposer.propose(number) for number in range(3)][2] == late


def test_a_trial_ended_by_itself_is_not_called_stopped(tmp_path: Path) -> None:
    assert classify_end({"stop_reason": "patience", "epoch": 4}) == Ending(TrialState.COMPLETED, "patience")
    assert classify_end({"stop_reason": "diverged", "epoch": 2}) == Ending(TrialState.DIVERGED, "diverged in epoch 2")
    assert classify_end({"epoch": 2}) is None
    searcher = build_searcher(tmp_path)
    searcher.suggest("0")
    searcher.on_trial_complete("0", {"epoch": 2})
    assert [entry.state for entry in ledger_of(searcher).entries.values()] == [TrialState.STOPPED]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("{trials_per_arm: 4}", [4, 4]), ("{trials: 6}", [3, 3]), ("{hours: 1}", [None, None])],
)
def test_num_search_trials(budget: str, expected: list[int | None], tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.replace("METHOD", "random").replace("{trials_per_arm: 4}", budget))
    spec: SweepSpec = load_spec(file)
    assert list(num_search_trials(spec, build_arms(spec)).values()) == expected


def test_a_paused_sweep_proposes_nothing_and_goes_on(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    searcher._sweep.paused = True
    assert searcher.suggest("0") is None
    searcher._sweep.paused = False
    assert isinstance(searcher.suggest("0"), dict)


def test_a_sweep_that_is_held_proposes_nothing_and_goes_on(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    searcher._sweep.held = "the disk is full"
    full = [True]
    searcher._room = cast("Any", SimpleNamespace(look=lambda: full[0] or setattr(searcher._sweep, "held", "") or True))
    assert searcher.suggest("0") is None
    full[0] = False  # nothing runs, so nobody but the searcher is asked
    assert isinstance(searcher.suggest("0"), dict)


def test_a_sweep_that_is_held_for_too_long_while_nothing_runs_is_interrupted(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    searcher._sweep.held = "the disk is full"
    searcher._room = cast("Any", SimpleNamespace(look=lambda: False))
    assert searcher.suggest("0") == "FINISHED"
    assert searcher._sweep.interrupted


def test_a_sweep_that_is_stopped_ends_when_its_trials_have_and_can_be_resumed(tmp_path: Path) -> None:
    searcher = build_searcher(tmp_path)
    assert isinstance(searcher.suggest("0"), dict)
    searcher._sweep.stopping = True
    assert searcher.suggest("1") is None
    assert not searcher._sweep.interrupted
    finish(searcher, "0", 0.5)
    assert searcher.suggest("1") == "FINISHED"
    assert searcher._sweep.interrupted
    assert not searcher._sweep.finished
    again = build_searcher(tmp_path, known=ledger_of(searcher))
    config = again.suggest("0")
    assert isinstance(config, dict)
    assert config["trial_id"] == "adam-000"


def test_trials_that_were_cut_off_go_on_first_from_their_latest_checkpoint(tmp_path: Path) -> None:
    before = build_searcher(tmp_path)
    for ray_id in ("0", "1"):
        before.suggest(ray_id)
    finish(before, "0", 0.5)
    for folder in ("trials-0000/adam-000/checkpoint_000001", "trials-0001/adam-000/checkpoint_000000"):
        (tmp_path / "s/ray" / folder).mkdir(parents=True)
        (tmp_path / "s/ray" / folder / "checkpoint.pt").touch()
    (tmp_path / "s/ray/trials-0001/adam-000/checkpoint_000001").mkdir()  # cut off before the file was there
    after = build_searcher(tmp_path, known=ledger_of(before))
    config = after.suggest("0")
    assert isinstance(config, dict)
    request = parse_trial(config)
    assert (request.trial_id, request.parameters) == ("adam-000", ledger_of(before).entries["adam-000"].parameters)
    assert [path.removeprefix(f"{tmp_path}/s/ray/") for path in request.checkpoints] == [
        "trials-0001/adam-000/checkpoint_000000",
        "trials-0000/adam-000/checkpoint_000001",
    ]
    config = after.suggest("1")
    assert isinstance(config, dict)
    assert (config["trial_id"], config["checkpoints"]) == ("sgd-001", ())


def test_arms_whose_names_differ_only_by_what_an_id_cannot_hold_have_trials_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = "    def __init__(self, params, lr=0.1):\n        super().__init__(params, lr)\n"
    optimizer = f"import torch\nclass {{}}(torch.optim.SGD):\n{signature}"
    (tmp_path / "similar_a.py").write_text(optimizer.format("b_C"))
    (tmp_path / "similar_a_b.py").write_text(optimizer.format("C"))
    monkeypatch.syspath_prepend(str(tmp_path))
    arms = ("similar_a:b_C", "similar_a_b:C")
    head = SWEEP[: SWEEP.index("  optimizer:")]
    text = head + f"  lr: {{min: 0.1, max: 0.9}}\n  optimizer: {{values: {list(arms)}}}\n"
    requests = play(build_searcher(tmp_path, text=text))
    assert len({request.trial_id for request in requests}) == len(requests) == 2 * (4 + 2)
    assert [sum(request.arm == arm for request in requests) for arm in arms] == [6, 6]
