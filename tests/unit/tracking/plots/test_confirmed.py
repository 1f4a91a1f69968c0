from __future__ import annotations

import pytest
from plain_table import plain_table, retraining, search_trial

from tracking.plots.confirmed import build_confirmed_plot, build_gap_plot
from tracking.table import SweepTable

FIRST, SECOND = search_trial("adam", 0, 0.5, 0.7), search_trial("sgd", 0, 0.4, 0.6)
TESTS = {"adam": (0.70, 0.72, 0.74), "sgd": (0.60, 0.61, 0.62)}


def confirmed_table(num_seeds: int = 3) -> SweepTable:
    retrained = [
        retraining(trial, seed, TESTS[trial.arm][seed] + 0.01 * (seed + 1), TESTS[trial.arm][seed])
        for trial in (FIRST, SECOND)
        for seed in range(num_seeds)
    ]
    return plain_table(FIRST, SECOND, *retrained)


def test_each_arm_has_its_seeds_its_mean_and_its_interval_by_students_t() -> None:
    plot = build_confirmed_plot(confirmed_table())

    assert plot is not None
    seeds, mean = plot.figure.data[:2]
    assert seeds.x == TESTS["adam"]
    assert mean.x[0] == pytest.approx(0.72)
    # t(2; 0.975) = 4.30265, and the standard error is 0.02 / sqrt(3)
    assert mean.error_x.array[0] == pytest.approx(4.30265 * 0.02 / 3**0.5, rel=1e-5)
    assert mean.error_x.arrayminus[0] == pytest.approx(mean.error_x.array[0])
    assert plot.figure.layout.yaxis.ticktext == ("adam", "sgd")


def test_with_one_seed_there_is_no_interval_and_the_caption_says_so() -> None:
    plot = build_confirmed_plot(confirmed_table(1))

    assert plot is not None
    assert plot.figure.data[1].error_x.array is None
    assert "one seed each" in plot.caption


def test_the_gap_is_in_points_of_accuracy() -> None:
    plot = build_gap_plot(confirmed_table())

    assert plot is not None
    seeds, mean = plot.figure.data[:2]
    assert seeds.x == pytest.approx((1.0, 2.0, 3.0))
    assert mean.x[0] == pytest.approx(2.0)
    assert mean.error_x.array[0] == pytest.approx(4.30265 / 3**0.5, rel=1e-5)


def test_without_retrainings_there_is_nothing_to_show() -> None:
    assert build_confirmed_plot(plain_table(FIRST, SECOND)) is None
    assert build_gap_plot(plain_table(FIRST, SECOND)) is None
