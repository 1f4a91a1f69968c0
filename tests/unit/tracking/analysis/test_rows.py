"""A sweep as rows, against its table."""

from __future__ import annotations

from dataclasses import replace

from build_table import build_table

from tracking.analysis.rows import build_epoch_rows, build_trial_rows
from tracking.names import STAGE_DEFAULT, TEST_ACCURACY
from tracking.table import TrialRow


def test_a_trial_is_a_row_with_all_its_settings_and_last_metrics() -> None:
    table = build_table()
    rows = build_trial_rows(table)
    assert [row["trial"] for row in rows] == [trial.trial_id for trial in table.trials]
    for row, trial in zip(rows, table.trials, strict=True):
        assert {name: row[f"param.{name}"] for name in trial.parameters} == trial.parameters
        assert {name: row[f"metric.{name}"] for name in trial.summary} == trial.summary
        assert (row["state"], row["seed"], row["epochs"]) == (trial.state, trial.seed, trial.num_epochs)
        assert (row["best_val_accuracy"], row["test_accuracy"]) == (
            table.value(trial),
            trial.summary.get(TEST_ACCURACY),
        )
        assert row["seconds"] == trial.seconds
    assert rows[0]["start_time"] == "2026-11-18T11:06:40.000+00:00"
    assert len({tuple(row) for row in rows}) == 1


def test_a_retraining_names_the_trial_whose_settings_it_has() -> None:
    rows = {row["trial"]: row for row in build_trial_rows(build_table())}
    found = {name: row["retraining_of"] for name, row in rows.items() if row["is_retraining"]}
    names = {"sgd": "sgd-003", "momentum": "momentum-003", "rmsprop": "rmsprop-002", "adam": "adam-003"}
    assert found == {f"{arm}-confirm-000": trial for arm, trial in names.items()}
    assert rows["adam-003"]["retraining_of"] is None


def test_untuned_defaults_are_retrainings_of_no_trial() -> None:
    table = build_table()
    default = replace(table.confirmed("sgd")[0], stage=STAGE_DEFAULT)
    (row,) = build_trial_rows(build_table(trials=(default,)))
    assert (row["is_retraining"], row["retraining_of"]) == (True, None)


def test_an_epoch_is_a_row_with_what_it_came_to() -> None:
    table = build_table()
    rows = build_epoch_rows(table)
    assert len(rows) == sum(trial.num_epochs for trial in table.trials)

    def values(trial: TrialRow, name: str) -> list[tuple[object, object]]:
        return [(row["epoch"], row[f"metric.{name}"]) for row in rows if row["trial"] == trial.trial_id]

    for trial in table.trials:
        for name, points in trial.history.items():
            assert values(trial, name) == list(points)
    assert {row["param.lr"] for row in rows if row["trial"] == "adam-003"} == {2.4e-3}
    assert len({tuple(row) for row in rows}) == 1


def test_an_epoch_of_which_a_metric_is_unknown_has_a_hole() -> None:
    trial = replace(build_table().trials[0], history={"train_loss": ((1, 2.0), (2, 1.5)), "val_loss": ((2, 1.6),)})
    rows = build_epoch_rows(build_table(trials=(trial,)))
    assert [(row["metric.train_loss"], row["metric.val_loss"]) for row in rows] == [(2.0, None), (1.5, 1.6)]


def test_what_is_known_at_the_end_alone_is_no_column_of_epochs() -> None:
    trial = replace(build_table().trials[0], history={"train_loss": ((1, 2.0),), TEST_ACCURACY: ((7, 0.5),)})
    (row,) = build_epoch_rows(build_table(trials=(trial,)))
    assert f"metric.{TEST_ACCURACY}" not in row
