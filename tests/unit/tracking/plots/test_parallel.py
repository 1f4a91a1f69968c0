from __future__ import annotations

from typing import Any

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.parallel import ABSENT, build_parallel_plot
from tracking.plots.style import Plot
from tracking.table import SweepTable


def swept(*more: Any, **changes: Any) -> SweepTable:
    """Seven trials of adam, the higher the learning rate the better, and two of sgd, which has no momentum."""
    adam = [
        search_trial("adam", number, 0.1 * (number + 1), lr=10.0**-number, momentum=0.1 * (number % 2))
        for number in range(7)
    ]
    sgd = [search_trial("sgd", number, 0.05, lr=0.1) for number in range(2)]
    return plain_table(*adam, *sgd, *more, **{"searched": ("lr", "momentum", "optimizer"), **changes})


def lines_of(plot: Plot | None) -> list[tuple[float | None, ...]]:
    """The places of each strong line."""
    assert plot is not None
    strong = [trace for trace in plot.figure.data if trace.line.width == 2.5 and trace.x]
    lines, part = [], []
    for trace in strong:
        for place in trace.y:
            if place is None:
                lines.append(tuple(part))
                part = []
            else:
                part.append(place)
    return lines


def test_the_best_trials_have_strong_lines_from_their_settings_to_their_value() -> None:
    lines = lines_of(build_parallel_plot(swept()))

    # arm (adam on top), learning rate 1e-6 to 1 on its logarithm, momentum 0 or 0.1, value 0.05 to 0.7
    assert len(lines) == 5
    assert lines[-1] == (1, 0, 0, 1)
    assert lines[0] == pytest.approx((1, 4 / 6, 0, (0.3 - 0.05) / 0.65), abs=1e-3)


def test_axes_have_titles_and_ticks() -> None:
    plot = build_parallel_plot(swept())

    assert plot is not None
    layout = plot.figure.layout
    assert layout.xaxis.ticktext == ("arm", "learning<br>rate", "momentum", "best<br>validation<br>accuracy")
    ticks = {index: [note.text for note in layout.annotations if note.x == index] for index in range(4)}
    assert ticks[0] == ["sgd", "adam"]
    assert ticks[1][0] == "1e-06"
    assert ticks[2] == ["none", "0", "0.1"]
    assert ticks[3][-1] == "70.0%"


def test_a_setting_that_an_arm_lacks_is_below_its_axis() -> None:
    plot = build_parallel_plot(swept())

    assert plot is not None
    pale = next(trace for trace in plot.figure.data if trace.name == "sgd" and trace.x)
    assert pale.y[2] == ABSENT


def test_a_lower_loss_is_higher() -> None:
    plot = build_parallel_plot(swept(goal="minimize"))

    assert lines_of(plot)[0][-1] == pytest.approx(1 - (0.1 - 0.05) / 0.65, abs=1e-3)
    assert plot is not None
    outcome = [note.text for note in plot.figure.layout.annotations if note.x == 3]
    assert outcome[0] == "70.0%"
    assert outcome[-1] == "5.0%"


def test_a_diverged_trial_does_not_stretch_the_axis_and_a_failed_one_has_no_line() -> None:
    diverged = search_trial("adam", 7, 0.001, lr=1.0, momentum=0.0, state=TrialState.DIVERGED)
    failed = search_trial("adam", 8, 0.9, lr=1.0, momentum=0.0, state=TrialState.FAILED)

    plot = build_parallel_plot(swept(diverged, failed))

    assert plot is not None
    places = [place for trace in plot.figure.data for place in trace.y[3::5]]
    assert len(places) == 7 + 2 + 1
    assert min(places) == 0
    assert max(places) == 1


def test_one_setting_has_a_plot_of_its_own_already() -> None:
    assert build_parallel_plot(swept(searched=("lr", "optimizer"))) is None
