from __future__ import annotations

from itertools import pairwise

from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.curves import build_trial_curves
from tracking.plots.effects import build_effect
from tracking.plots.thinning import BEST_SHARE, MAX_DRAWN, tell_thinned, thin_trials
from tracking.table import SweepTable


def many(number: int) -> SweepTable:
    """One arm, whose later trials are better."""
    trials = [
        search_trial("adam", index, 0.1 + 0.5 * index / number, lr=0.1, batch_size=(32, 64)[index % 2])
        for index in range(number)
    ]
    return plain_table(*trials, searched=("lr", "batch_size"))


def test_up_to_the_limit_all_are_drawn_in_their_order() -> None:
    table = many(MAX_DRAWN)

    assert thin_trials(table, table.trials) == table.trials
    assert tell_thinned(table) == ""


def test_of_more_the_best_are_drawn_and_others_from_the_first_to_the_last() -> None:
    table = many(5 * MAX_DRAWN)

    drawn = [trial.number for trial in thin_trials(table, table.trials)]

    num_best = round(BEST_SHARE * MAX_DRAWN)
    assert len(drawn) == MAX_DRAWN
    assert drawn == sorted(drawn)
    assert drawn[0] == 0
    assert drawn[-num_best:] == list(range(5 * MAX_DRAWN - num_best, 5 * MAX_DRAWN))
    assert max(after - before for before, after in pairwise(drawn)) <= 8
    assert tell_thinned(table) == " 600 of 3,000 trials are drawn: the best of each arm, and others evenly spread."


def test_a_trial_without_a_value_is_never_among_the_best() -> None:
    table = many(2 * MAX_DRAWN)
    failed = [search_trial("adam", 5000 + index, state=TrialState.FAILED) for index in range(MAX_DRAWN)]

    drawn = thin_trials(table, (*table.trials, *failed))

    assert {trial.number for trial in table.trials[-100:]} <= {trial.number for trial in drawn}


def test_figures_draw_no_more_and_say_so_but_medians_are_of_all() -> None:
    table = many(2 * MAX_DRAWN)

    plot = build_effect(table, "batch_size")

    assert plot is not None
    assert sum(len(trace.x) for trace in plot.figure.data if trace.customdata is not None) == MAX_DRAWN
    assert any(trace.hovertemplate == "adam: median of 600<extra></extra>" for trace in plot.figure.data)
    assert "600 of 1,200 trials are drawn" in plot.caption
    curves = build_trial_curves(table, "val_accuracy")
    assert curves is not None
    assert "600 of 1,200 trials are drawn" in curves.caption
