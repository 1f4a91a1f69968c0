from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tracking.analysis.findings import build_headline, build_verdict
from tracking.analysis.leaderboard import build_leaderboard
from tracking.analysis.verdict import Judgement, format_comparison, judge_retrainings, tell_headline, tell_verdict
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.statistics.verdict import Verdict
from tracking.table import Confirmation, SweepTable, TrialRow

NOISE = (0.001, -0.002, 0.0015, -0.0005, 0.002, -0.0015, 0.0005, -0.001)


def build_arm(arm: str, accuracies: Sequence[float | None]) -> list[TrialRow]:
    """The best search trial of an arm, and its retrainings; None for one that diverged."""
    history = {"val_accuracy": ((1, 0.7),)}
    trials = [
        TrialRow(f"{arm}-0", 0, arm, STAGE_SEARCH, TrialState.COMPLETED, "", 0, {"lr": 0.1, "seed": 0}, history, {})
    ]
    for seed, accuracy in enumerate(accuracies):
        state = TrialState.DIVERGED if accuracy is None else TrialState.COMPLETED
        summary = {} if accuracy is None else {"test_accuracy": accuracy}
        parameters = {"lr": 0.1, "seed": 100 + seed}
        trials.append(
            TrialRow(f"{arm}-c{seed}", seed, arm, STAGE_CONFIRM, state, "", 100 + seed, parameters, {}, summary)
        )
    return trials


def build_table(**arms: Sequence[float | None]) -> SweepTable:
    trials = tuple(trial for arm, accuracies in arms.items() for trial in build_arm(arm, accuracies))
    return SweepTable(
        "id",
        "n",
        "p",
        "completed",
        "val_accuracy",
        "maximize",
        "optimizer",
        tuple(arms),
        ("lr",),
        {"search": {"exhaustive": True}},
        "",
        trials,
    )


def shift(amount: float, number: int = 8, spread: float = 1.0) -> list[float]:
    """Accuracies around 0.7 + amount with noise that is another one for each amount."""
    luck = np.random.default_rng(round(1e6 * abs(amount)))
    return [0.7 + amount + spread * luck.choice(NOISE) for _ in range(number)]


def judge(table: SweepTable) -> Judgement:
    judgement = judge_retrainings(table, build_leaderboard(table))
    assert judgement is not None
    return judgement


def test_a_clear_winner_is_named_with_difference_interval_and_error() -> None:
    table = build_table(sgd=shift(0.0), adam=shift(0.03), rmsprop=shift(0.015))
    judgement = judge(table)
    assert judgement.winner == "adam"
    assert list(judgement.arms) == ["adam", "rmsprop", "sgd"]
    assert tell_headline(judgement) == f"adam is best with {100 * np.mean(shift(0.03)):.2f} % test accuracy"
    text = tell_verdict(judgement)
    difference = 100 * (np.mean(shift(0.03)) - np.mean(shift(0.0)))
    assert f"adam is better than sgd by {difference:.2f} points (95 % interval" in text
    assert "8 seeds)" in text
    assert text.endswith("wrongly called better is at most 4 %, over all pairs.")
    rows = build_leaderboard(table)
    assert build_headline(table, rows) == tell_headline(judgement)
    assert build_verdict(table, rows) == text


def search_twelve(table: SweepTable, num_ahead: int, good: Sequence[str] = ("adam",)) -> SweepTable:
    """Twelve search trials of each arm, of which the first `num_ahead` of the good ones are ahead of all others."""
    trials = [trial for trial in table.trials if trial.stage != STAGE_SEARCH]
    for arm in table.arms:
        for number in range(12):
            reached = 0.71 - number / 1e4 if arm in good and number < num_ahead else 0.7 - number / 1e4
            parameters = {"lr": 0.1 + number / 100, "seed": 0}
            history = {"val_accuracy": ((1, reached),)}
            trials.append(
                TrialRow(f"{arm}-{number}", number, arm, STAGE_SEARCH, TrialState.COMPLETED, "", 0, parameters, history)
            )
    return replace(table, trials=tuple(trials), manifest={})


def test_better_settings_that_may_be_the_luck_of_the_search_are_no_winner() -> None:
    table = search_twelve(build_table(sgd=shift(0.0), adam=shift(0.03), rmsprop=shift(0.015)), 4)
    judgement = judge(table)
    assert judgement.winner is None
    assert {pair.verdict for pair in judgement.comparison.to_best()} == {Verdict.NOT_ENOUGH_TRIALS}
    assert {pair.verdict for pair in judgement.by_seeds.to_best()} == {Verdict.BETTER}
    assert tell_headline(judgement).startswith("No winner yet: adam leads with ")
    text = tell_verdict(judgement)
    assert "The settings that were found for adam are better than those for rmsprop by 1." in text
    assert (
        "That may be the luck of its search: of the 12 trials of adam, 4 did better than the best of each of these; 5 "
        "would show it." in text
    )
    assert "is better than" not in text
    header, rows = format_comparison(judgement)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert [cell["verdict"] for cell in cells] == ["leads", "not enough trials", "not enough trials"]
    assert [cell["trials ahead"] for cell in cells] == ["–", "4 of 12", "4 of 12"]


def test_beside_a_tie_more_trials_are_needed_to_show_a_lead_over_a_third_arm() -> None:
    """The best arm cannot win, so its lead over sgd has to show over all pairs."""
    table = search_twelve(build_table(sgd=shift(0.0), adam=shift(0.03), rmsprop=shift(0.03)), 5, ("adam", "rmsprop"))
    verdicts = {pair.other: pair.verdict for pair in judge(table).comparison.to_best()}
    assert verdicts == {"rmsprop": Verdict.TIE, "sgd": Verdict.NOT_ENOUGH_TRIALS}
    assert "5 did better than the best of sgd; 7 would show it." in tell_verdict(judge(table))


def test_an_arm_whose_search_shows_it_too_is_the_winner() -> None:
    table = search_twelve(build_table(sgd=shift(0.0), adam=shift(0.03), rmsprop=shift(0.015)), 5)
    assert judge(table).winner == "adam"


def test_an_arm_whose_trials_all_failed_stands_in_no_winners_way() -> None:
    table = search_twelve(build_table(sgd=shift(0.0), adam=shift(0.03)), 5)
    failed = TrialRow("lion-0", 0, "lion", STAGE_SEARCH, TrialState.FAILED, "", 0, {"lr": 0.1}, {}, {})
    assert judge(replace(table, arms=("sgd", "adam", "lion"), trials=(*table.trials, failed))).winner == "adam"


def test_identical_arms_are_a_tie() -> None:
    judgement = judge(build_table(sgd=shift(0.0), adam=shift(0.0), rmsprop=shift(0.0)))
    assert judgement.winner is None
    assert tell_headline(judgement).startswith("A tie between sgd, adam and rmsprop at 7")
    assert "adam and rmsprop differ from sgd by less than 0.5 points, which does not matter." in tell_verdict(judgement)


def test_noisy_arms_need_more_seeds_and_are_told_how_many() -> None:
    judgement = judge(build_table(sgd=shift(0.0, 3, 10), adam=shift(0.012, 3, 10)))
    assert judgement.winner is None
    assert tell_headline(judgement).startswith("No winner yet: ")
    pair = judgement.pair(list(judgement.arms)[1])
    assert pair is not None
    assert pair.verdict is Verdict.NOT_ENOUGH_SEEDS
    assert "cannot be told apart with 3 seeds" in tell_verdict(judgement)
    if pair.num_more_seeds:
        assert f"{pair.num_more_seeds} more would decide" in tell_verdict(judgement)
    *_, verdict, missing = format_comparison(judgement)[1][1]
    assert (verdict, missing) == ("not enough seeds", str(pair.num_more_seeds or "none would do"))


def test_a_retraining_that_diverged_counts_as_the_worst_and_is_shown() -> None:
    table = build_table(sgd=shift(0.0), adam=[*shift(0.03)[:7], None])
    rows = {row.arm: row for row in build_leaderboard(table)}
    assert rows["adam"].test_accuracy == pytest.approx(np.mean([*shift(0.03)[:7], 0.0]))
    judgement = judge(table)
    assert judgement.comparison.best == "sgd"
    assert judgement.arms["adam"].num_diverged == 1
    cells = dict(zip(format_comparison(judgement)[0], format_comparison(judgement)[1][1], strict=True))
    assert cells["seeds"] == "8 (1 diverged)"


def test_only_the_best_settings_of_an_arm_are_compared_and_only_over_common_seeds() -> None:
    table = build_table(sgd=shift(0.0), adam=shift(0.03)[:6])
    other = replace(table.trials[-1], trial_id="other", seed=999, parameters={"lr": 9.0, "seed": 999})
    judgement = judge(replace(table, trials=(*table.trials, replace(other, summary={"test_accuracy": 0.1}))))
    assert judgement.arms["adam"].num_seeds == 6
    pair = judgement.pair("sgd")
    assert pair is not None
    assert pair.num_seeds == 6
    assert pair.difference == pytest.approx(np.mean(shift(0.03)[:6]) - np.mean(shift(0.0)[:6]))


@pytest.mark.parametrize("accuracies", [[], [0.7]])
def test_nothing_is_judged_while_an_arm_has_fewer_than_two_seeds(accuracies: list[float]) -> None:
    table = build_table(sgd=shift(0.0), adam=accuracies)
    assert judge_retrainings(table, build_leaderboard(table)) is None


def test_there_is_no_verdict_before_all_planned_seeds_are_in() -> None:
    """With 7 of 8 seeds the difference would be certain enough; the level is that of one look at 8."""
    table = build_table(adam=shift(0.03, 8), sgd=shift(0.0, 7))
    running = replace(table, state="running", confirmation=Confirmation(seeds=8))
    rows = build_leaderboard(running)

    assert judge_retrainings(running, rows) is None
    assert build_headline(running, rows).startswith("adam leads with 72.99")
    assert build_verdict(running, rows).endswith(
        "No verdict before all 8 seeds of every arm are in. Retrainings that are missing: sgd 1."
    )
    ended = replace(running, state="completed")  # one of them failed
    assert judge_retrainings(ended, rows) is not None


def test_a_retraining_that_failed_is_not_waited_for() -> None:
    table = build_table(adam=shift(0.03, 8), sgd=shift(0.0, 8))
    failed = replace(table.trials[-1], state=TrialState.FAILED, summary={})
    running = replace(table, state="running", confirmation=Confirmation(seeds=8), trials=(*table.trials[:-1], failed))

    assert judge(running).comparison.best == "adam"


def test_the_table_has_a_row_for_each_arm_beside_the_best() -> None:
    header, rows = format_comparison(judge(build_table(sgd=shift(0.0), adam=shift(0.03))))
    assert [row[0] for row in rows] == ["adam", "sgd"]
    assert all(len(row) == len(header) for row in rows)
    first, second = (dict(zip(header, row, strict=True)) for row in rows)
    assert first["verdict"] == "best"
    assert second["verdict"] == "worse"
    assert second["best wins"] == "100 % (63 to 100)"
    assert float(second["p"]) < 0.04
