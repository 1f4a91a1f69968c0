from __future__ import annotations

from dataclasses import replace
from typing import Any

from plain_table import plain_table, search_trial

from tracking.names import STAGE_CONFIRM, TrialState
from tracking.plots.ledger import build_ledger_plot
from tracking.plots.style import NoPlot, Plot
from tracking.table import SweepTable


def four_fates() -> SweepTable:
    """An epoch takes 3 seconds; a whole trial has 3 epochs."""
    complete = search_trial("adam", 0, 0.1, 0.2, 0.3, epochs=3)
    return plain_table(
        complete,
        search_trial("adam", 1, 0.1, state=TrialState.EARLY_STOPPED, epochs=3),
        search_trial("adam", 2, 0.1, 0.1, state=TrialState.DIVERGED, epochs=3),
        replace(complete, trial_id="adam-confirm-000", stage=STAGE_CONFIRM),
    )


def bars_of(table: SweepTable, *, visible: bool = True) -> dict[str, tuple[float, float]]:
    """What became of it -> where its bar begins and ends."""
    plot = build_ledger_plot(table)
    assert isinstance(plot, Plot)
    bars: list[Any] = [trace for trace in plot.figure.data if trace.visible is visible]
    return {bar.name: (min(bar.x), max(bar.x)) for bar in bars}


def test_the_seconds_of_an_arm_by_what_became_of_them() -> None:
    assert bars_of(four_fates()) == {
        "ran to the end": (0, 9),
        "stopped early": (9, 12),
        "diverged or failed": (12, 18),
        "retrained": (18, 27),
        "saved by early stopping": (27, 33),
    }


def test_a_button_shows_them_in_epochs() -> None:
    assert bars_of(four_fates(), visible=False)["saved by early stopping"] == (9, 11)
    plot = build_ledger_plot(four_fates())
    assert isinstance(plot, Plot)
    assert [button.label for button in plot.figure.layout.updatemenus[0].buttons] == ["in time", "in epochs"]


def test_a_trial_that_runs_has_not_ended() -> None:
    assert bars_of(plain_table(search_trial("adam", 0, 0.1, state=None))) == {"not ended": (0, 3)}


def test_long_sweeps_are_in_minutes_and_hours() -> None:
    longer = [
        replace(trial, history={**trial.history, "train_seconds": ((1, 300.0),)}) for trial in four_fates().trials
    ]

    plot = build_ledger_plot(plain_table(*longer))

    assert isinstance(plot, Plot)
    assert plot.figure.layout.xaxis.title.text == "minutes of training and validation"
    assert plot.figure.data[0].text == "adam: 5 min 03 s ran to the end"


def test_before_the_first_epoch_there_is_nothing_to_draw() -> None:
    assert build_ledger_plot(plain_table(search_trial("adam", 0, state=None))) == NoPlot(
        "Cost ledger", "No trial has ended an epoch."
    )
