"""The checker tells every kind of contradiction: in a sweep that was really recorded, each one is made and told."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checker import check_sweep
from played_sweep import record_sweep

from sweeps.home import Home
from tracking import names
from tracking.analysis.leaderboard import build_leaderboard
from tracking.analysis.race import count_saved, find_dropped
from tracking.analysis.verdict import judge_retrainings
from tracking.names import STAGES
from tracking.store.connection import open_client
from tracking.store.queries import find_parent, load_sweep

PASSWORD = "s3cret-Pa55"


# A sweep that was recorded


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The results folder of a sweep under a rule, made once."""
    made: dict[str, Path] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)

        def get(rule: str) -> Path:
            if rule not in made:
                made[rule] = tmp_path_factory.mktemp(rule)
                record_sweep(Home(made[rule]), rule)
            return made[rule]

        yield get


class Sweep:
    """A copy of a recorded sweep, to be spoilt."""

    def __init__(self, home: Path) -> None:
        self.home = Home(home)
        (self.sweep_id,) = self.home.sweep_ids()
        self.folder = self.home.folder(self.sweep_id)

    def sql(self, command: str, *values: object) -> None:
        """Changes something in MLflow's database."""
        with sqlite3.connect(self.home.path / "mlflow.db") as connection:
            changed = connection.execute(command, values).rowcount
        connection.close()
        assert changed > 0, "nothing was changed"

    def of(self, trial_id: str) -> str:
        """Names the run of a trial in SQL."""
        return f"run_uuid = (SELECT run_uuid FROM runs WHERE name = '{trial_id}')"

    def replace(self, file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert old in text, "nothing was changed"
        file.write_text(text.replace(old, new, 1))

    def rewrite(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Changes the events of the journal, and numbers them anew."""
        lines = [json.loads(line) for line in self.folder.journal.read_text().splitlines()]
        events = change([{key: each for key, each in line.items() if key != "crc"} for line in lines])
        lines = (json.dumps(event | {"sequence": number}) + "\n" for number, event in enumerate(events, start=1))
        self.folder.journal.write_text("".join(lines))
        self.folder.journal.with_name("journal.jsonl.delivered").write_text(f"{len(events)}\n")


@pytest.fixture
def sweep(recorded: Callable[[str], Path], tmp_path: Path) -> Sweep:
    return Sweep(Path(shutil.copytree(recorded("asha"), tmp_path / "home")))


@pytest.fixture
def raced(recorded: Callable[[str], Path], tmp_path: Path) -> Sweep:
    """A sweep with a selection, untuned defaults and a race that one arm loses."""
    return Sweep(Path(shutil.copytree(recorded("raced"), tmp_path / "home")))


@pytest.fixture
def promoted(recorded: Callable[[str], Path], tmp_path: Path) -> Sweep:
    return Sweep(Path(shutil.copytree(recorded("asha_promotion"), tmp_path / "promoted")))


def test_a_sweep_that_nothing_has_disturbed_is_passed(sweep: Sweep) -> None:
    check_sweep(sweep.home, sweep.sweep_id)


def test_so_is_one_whose_trials_have_paused(promoted: Sweep) -> None:
    check_sweep(promoted.home, promoted.sweep_id)


# Each contradiction, and what the checker says of it

Events = list[dict[str, Any]]


def where(events: Events, kind: str, trial_id: str) -> Events:
    found = [event for event in events if (event["kind"], event["trial_id"]) == (kind, trial_id)]
    assert found, "nothing was changed"
    return found


def without(kind: str, trial_id: str, index: int = 0) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        gone = where(events, kind, trial_id)[index]
        return [event for event in events if event is not gone]

    return change


def edited(kind: str, trial_id: str, index: int = 0, **content: object) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        where(events, kind, trial_id)[index]["content"].update(content)
        return events

    return change


def twice(kind: str, trial_id: str) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        again = where(events, kind, trial_id)[0]
        index = events.index(again)
        return [*events[: index + 1], json.loads(json.dumps(again)), *events[index + 1 :]]

    return change


def edit_journal(change: Callable[[Events], Events]) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.rewrite(change)


def edit_csv(old: str, new: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.replace(sweep.folder.trials, old, new)


def edit_report(old: str, new: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.replace(sweep.folder.report, old, new)


def edit_run(trial_id: str, change: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.sql(f"UPDATE runs SET {change} WHERE name = '{trial_id}'")


def edit_tag(trial_id: str, tag: str, value: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.sql(f"UPDATE tags SET value = ? WHERE key = ? AND {sweep.of(trial_id)}", value, tag)


def edit_param(trial_id: str, name: str, value: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.sql(f"UPDATE params SET value = ? WHERE key = ? AND {sweep.of(trial_id)}", value, name)


def edit_metric(trial_id: str, name: str, change: str) -> Callable[[Sweep], None]:
    """Of the second epoch."""
    command = f"UPDATE metrics SET {change} WHERE key = ? AND step = 2"
    return lambda sweep: sweep.sql(f"{command} AND {sweep.of(trial_id)}", name)


def drop_epoch(sweep: Sweep) -> None:
    sweep.sql(f"DELETE FROM metrics WHERE step = 2 AND {sweep.of('sgd-000')}")


def repeat_point(name: str, step: int, trial_id: str = "tiny-20261126-000000-0001") -> Callable[[Sweep], None]:
    columns = "key, value, is_nan, step, run_uuid"
    command = f"INSERT INTO metrics ({columns}, timestamp) SELECT {columns}, timestamp + 1 FROM metrics"
    return lambda sweep: sweep.sql(f"{command} WHERE step = ? AND key = ? AND {sweep.of(trial_id)}", step, name)


def drop_point(name: str, value: float) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.sql("DELETE FROM metrics WHERE key = ? AND value = ?", name, value)


def open_run_again(name: str) -> Callable[[Sweep], None]:
    """A second run with the tags of one that is there."""

    def spoil(sweep: Sweep) -> None:
        client = open_client(sweep.home.tracking_uri)
        experiment = find_parent(client, sweep.sweep_id).info.experiment_id
        (run,) = client.search_runs([experiment], f"attributes.run_name = '{name}'")
        client.create_run(experiment, tags=run.data.tags, run_name=name)

    return spoil


def log_metric(trial_id: str, name: str, step: int) -> Callable[[Sweep], None]:
    def spoil(sweep: Sweep) -> None:
        client = open_client(sweep.home.tracking_uri)
        experiment = find_parent(client, sweep.sweep_id).info.experiment_id
        (run,) = client.search_runs([experiment], f"tags.`trial.id` = '{trial_id}'")
        client.log_metric(run.info.run_id, name, 0.5, step=step)

    return spoil


def register_again(sweep: Sweep) -> None:
    client = open_client(sweep.home.tracking_uri)
    (version,) = client.search_model_versions("name = 'shapes'")
    client.create_model_version("shapes", version.source, version.run_id, tags=version.tags)


def edit_model(tag: str, value: str) -> Callable[[Sweep], None]:
    return lambda sweep: sweep.sql("UPDATE model_version_tags SET value = ? WHERE key = ?", value, tag)


def lose_line(sweep: Sweep) -> None:
    lines = sweep.folder.journal.read_bytes().splitlines(keepends=True)
    sweep.folder.journal.write_bytes(b"".join(lines[:9] + lines[10:]))


def save(trial_id: str) -> Callable[[Sweep], object]:
    return lambda sweep: (sweep.folder.ray / f"trials-0000/{trial_id}/checkpoint_000000").mkdir(parents=True)


def write_file(name: str, text: str) -> Callable[[Sweep], object]:
    return lambda sweep: (sweep.folder.path / name).write_text(text)


CONTRADICTIONS: dict[str, tuple[Callable[[Sweep], object], str]] = {
    # Runs
    "an open trial": (edit_run("sgd-001", "status = 'RUNNING'"), "sgd-001 is RUNNING in MLflow"),
    "an open sweep": (
        edit_run("tiny-20261126-000000-0001", "status = 'RUNNING'"),
        "tiny-20261126-000000-0001 is RUNNING in MLflow",
    ),
    "two parents": (open_run_again("tiny-20261126-000000-0001"), "MLflow has 2 runs of the sweep itself, not one"),
    "no parent": (edit_run("tiny-20261126-000000-0001", "lifecycle_stage = 'deleted'"), "MLflow has 0 runs of the sw"),
    "two runs": (
        open_run_again("sgd-001"),
        "sgd-001 is in the journal and has 2 runs in MLflow",
    ),
    "no run": (edit_run("sgd-001", "lifecycle_stage = 'deleted'"), "sgd-001 is in the journal and has 0 runs"),
    "an unknown run": (
        lambda sweep: sweep.rewrite(lambda events: [event for event in events if event["trial_id"] != "sgd-001"]),
        "sgd-001 has a run in MLflow and is not in the journal",
    ),
    "another's child": (edit_tag("sgd-001", names.PARENT_RUN_ID, "x"), "sgd-001 is not a child of the sweep's run"),
    # States
    "a wrong status": (edit_run("sgd-000", "status = 'KILLED'"), "sgd-000 is completed by its tag and KILLED as a run"),
    "a wrong tag": (
        edit_tag("sgd-000", names.TRIAL_STATE, "stopped"),
        "sgd-000 is completed in the journal, stopped in",
    ),
    "a wrong reason": (edit_tag("sgd-001", names.TRIAL_STOP_REASON, "x"), "sgd-001 ended because 'asha: rank 2 of 2"),
    "a wrong state in the journal": (
        edit_journal(edited("end_trial", "sgd-000", state="diverged")),
        "sgd-000 is diverged in the journal, completed in the MLflow",
    ),
    "a wrong state in trials.csv": (
        edit_csv(",completed,", ",failed,"),
        "failed in the trials.csv, completed in the rep",
    ),
    "a wrong state in the report": (
        edit_report('<span class="state failed">failed', '<span class="state failed">completed'),
        "sgd-003 is failed in the journal, failed in the MLflow, failed in the trials.csv, completed in the report",
    ),
    "a line too many": (
        lambda sweep: sweep.folder.trials.write_text(
            sweep.folder.trials.read_text() + sweep.folder.trials.read_text().splitlines()[-1].replace("m-01,", "m-02,")
        ),
        "adam-confirm-02 is in trials.csv and not in the journal",
    ),
    "a line too few": (edit_csv("sgd-001,sgd", "sgd-009,sgd"), "missing in the trials.csv"),
    "another state of the sweep": (
        edit_tag("tiny-20261126-000000-0001", names.SWEEP_STATE, "failed"),
        "the sweep is completed in the journal, failed in MLflow, completed in the report",
    ),
    "another state in the report": (
        edit_report("<dd>completed</dd>", "<dd>interrupted</dd>"),
        "interrupted in the report",
    ),
    "a sweep without end": (edit_journal(without("end_sweep", "")), "the sweep is running in the journal"),
    "a phase that stayed": (
        edit_tag("tiny-20261126-000000-0001", names.SWEEP_PHASE, "paused"),
        "phase is still paused",
    ),
    # Epochs
    "an epoch missing in MLflow": (drop_epoch, r"sgd-000 has lr, .* at epochs \[1, 3\] in MLflow and at \[1, 2, 3\]"),
    "an epoch twice in MLflow": (
        repeat_point("val_loss", 2, "sgd-000"),
        r"sgd-000 has val_loss at epochs \[1, 2, 2, 3\] in MLflow",
    ),
    "an epoch missing in the journal": (
        edit_journal(without("epoch", "sgd-000", 1)),
        r"sgd-000 has the epochs \[1, 3\] in the journal",
    ),
    "an epoch twice in the journal": (
        edit_journal(twice("epoch", "sgd-000")),
        r"sgd-000 has the epochs \[1, 1, 2, 3\]",
    ),
    "another value": (
        edit_metric("sgd-000", "val_loss", "value = 7"),
        "sgd-000 has val_loss 7.0 at epoch 2 in MLflow and 1.0",
    ),
    "an end told twice": (edit_journal(twice("end_trial", "sgd-000")), "sgd-000 ended 2 times, by the journal"),
    # The sweep's own series
    "a step missing": (drop_point("progress/trials_ended", 3), r"the sweep has progress/trials_ended \[1.0, 2.0, 4.0"),
    "a step twice": (
        repeat_point("best_by_trials/sgd", 1),
        r"the sweep has best_by_trials/sgd at the steps \[1, 1, 2",
    ),
    "another best": (
        lambda sweep: sweep.sql("UPDATE metrics SET value = 0.001 WHERE key = 'best_by_trials/sgd' AND step = 1"),
        r"the sweep has best_by_trials/sgd \[\(1, 0.001\)",
    ),
    "an epoch not counted": (
        lambda sweep: sweep.sql("DELETE FROM metrics WHERE key = 'progress/epochs_spent' AND value > 20"),
        "the sweep has progress/epochs_spent 18.0 in MLflow and 27.0 in the journal",
    ),
    # The test split
    "a test accuracy of the search": (
        log_metric("sgd-000", "test_accuracy", 3),
        "sgd-000 is a trial of the search and has a",
    ),
    "two test accuracies": (
        log_metric("sgd-confirm-00", "test_accuracy", 2),
        "sgd-confirm-00 has test_accuracy 2 times",
    ),
    "no test accuracy": (
        lambda sweep: (
            sweep.sql(f"DELETE FROM latest_metrics WHERE key = 'test_accuracy' AND {sweep.of('sgd-confirm-00')}"),
            sweep.sql(f"DELETE FROM metrics WHERE key = 'test_accuracy' AND {sweep.of('sgd-confirm-00')}"),
        ),
        "sgd-confirm-00 was retrained to its end and has no test_accuracy",
    ),
    # Early stopping
    "stopped for another reason": (
        edit_journal(edited("end_trial", "sgd-001", stop_reason="asha: rank 2 of 2 at epoch 2, the best 1 go on")),
        r"sgd-001 is stopped early \(asha: .* at epoch 2.*though it is stopping \(asha: .* at epoch 1",
    ),
    "stopped against the rule": (
        edit_journal(edited("end_trial", "sgd-000", state="early_stopped")),
        r"sgd-000 is stopped early \(epochs\), though it is running, by the rules",
    ),
    "gone on against the rule": (
        lambda sweep: sweep.rewrite(
            lambda events: edited(
                "epoch", "sgd-001", metrics=where(events, "epoch", "sgd-000")[2]["content"]["metrics"]
            )(events)
        ),
        r"sgd-001 is stopped early .* though it is running, by the rules",
    ),
    "completed against the rule": (
        edit_journal(edited("end_trial", "sgd-001", state="completed")),
        "sgd-001 is completed, though it is stopping",
    ),
    "paused against the rule": (
        edit_journal(lambda events: [*events[:3], events[1] | {"kind": "pause", "content": {}}, *events[3:]]),
        "sgd-000 pauses, though it is running, by the rules",
    ),
    "an impossible order": (
        edit_journal(lambda events: [events[0], *sorted(events[1:], key=lambda event: event["kind"] != "end_trial")]),
        "of the journal cannot have happened",
    ),
    # Settings
    "other settings in MLflow": (
        edit_param("sgd-001", "lr", "0.5"),
        "sgd-001 has lr 0.5 in MLflow and 0.96.* in the journal",
    ),
    "other settings in trials.csv": (
        edit_csv(",0.9644989000820149,", ",0.5,"),
        "sgd-001 has lr 0.5 in trials.csv and 0.96",
    ),
    "another number in trials.csv": (
        edit_csv(",0.9103690157712679,", ",0.5,"),
        "sgd-002 has metric.best_val_accuracy 0.5 in trials.csv",
    ),
    "a retraining of something else": (
        edit_param("sgd-confirm-00", "lr", "0.5"),
        r"sgd-confirm-00 has not the settings, .* of the first \(sgd-002\)",
    ),
    "a retraining with another seed": (
        edit_param("sgd-confirm-00", "seed", "5"),
        "sgd-confirm-00 has not the settings, or",
    ),
    "a retraining too few": (
        edit_run("sgd-confirm-01", "lifecycle_stage = 'deleted'"),
        "sgd lacks 1 retrainings of 2",
    ),
    "the same retraining twice": (
        edit_param("sgd-confirm-00", "seed", "697048940"),
        "sgd-confirm-00 retrains what another retraining does",
    ),
    "a retraining of what does not rank first": (
        edit_metric("sgd-000", "val_accuracy", "value = 0.99"),
        r"sgd-confirm-00 has not the settings, .* of the first \(sgd-000\)",
    ),
    # The report
    "another row of the leaderboard": (
        edit_report("batch_size 64, lr 0.03716", "batch_size 32, lr 0.03716"),
        "the leaderboard of the report has the rows",
    ),
    "another test accuracy in trials.csv": (
        edit_csv(",0.21159896989097615,", ",0.9,"),
        "sgd has test accuracy 0.13.* 0.47",
    ),
    "other settings of the best in trials.csv": (
        edit_csv(",0.037159454892434426,", ",0.5,"),
        "adam has best settings .*0.037.* in the leaderboard and .*0.5.* in trials.csv",
    ),
    "another count in trials.csv": (edit_csv(",epochs,3,", ",epochs,2,"), "in the leaderboard and .* in trials.csv"),
    "another setting in a row of a trial": (
        edit_report(">0.9645<", ">0.5<"),
        "sgd-001 has lr 0.5 in the report and 0.9645",
    ),
    "another test accuracy in a row of a trial": (
        edit_report(">21.16 %<", ">91.16 %<"),
        "has test accuracy 91.16 % in the re",
    ),
    # The model
    "another trial's model": (
        edit_model(names.TRIAL_ID, "sgd-000"),
        "has trial.id sgd-000 in its tags and adam-confirm-00",
    ),
    "another accuracy of the model": (
        edit_model(names.TEST_ACCURACY, "0.9"),
        "has test_accuracy 0.9 in its tags and 0.6290",
    ),
    "two models": (register_again, "the sweep has 2 registered models"),
    "a model of another run": (
        lambda sweep: sweep.sql("UPDATE model_versions SET run_id = 'x'"),
        "is not of the sweep's run",
    ),
    # Files
    "a hole in the journal": (lose_line, "the journal goes on with event 11 after event 9"),
    "an event that was not delivered": (
        write_file("journal.jsonl.delivered", "9\n"),
        r"journal.jsonl.delivered says 9, and the last event of the journal is \d+",
    ),
    "no note of what was delivered": (
        lambda sweep: sweep.folder.journal.with_name("journal.jsonl.delivered").unlink(),
        "delivered says nothing",
    ),
    "a failure without a log": (
        lambda sweep: sweep.folder.trial_log("sgd-003").unlink(),
        "sgd-003 failed and has no logs/sgd",
    ),
    "an unfinished file": (write_file(".report.html.77", ""), r"\.report\.html\.77 was left behind unfinished"),
    "a checkpoint that nobody needs": (
        save("sgd-001_002"),
        "sgd-001 is .* in a sweep that is complete, and still has checkpoints",
    ),
    "a checkpoint of nobody": (save("sgd-777"), "sgd-777 is not in the journal and has checkpoints"),
    "an unfinished mark": (write_file("journal.jsonl.delivered.new", "5"), "delivered.new was left behind unfinished"),
    "no report": (lambda sweep: sweep.folder.report.unlink(), "report.html is not there"),
    "no table": (lambda sweep: sweep.folder.trials.unlink(), "trials.csv is not there"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_told(name: str, sweep: Sweep) -> None:
    spoil, message = CONTRADICTIONS[name]
    spoil(sweep)
    with pytest.raises(AssertionError, match=message):
        check_sweep(sweep.home, sweep.sweep_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("pause", "sgd-000"), "sgd-000 goes on after a pause, though it is pausing"),
        (without("go_on", "sgd-000"), "sgd-000 ends epoch 2, though it is paused, by the rules"),
        (edited("go_on", "sgd-000", donor_id="sgd-001", parameters={}), "goes on as a copy of sgd-001, and of none"),
        (
            lambda events: [each | {"trial_id": "sgd-001"} if each["kind"] == "go_on" else each for each in events],
            "sgd-001 goes on after a pause, though trial 0 of sgd has earned that, by the rules",
        ),
        (
            edited("end_trial", "sgd-001", stop_reason="asha: rank 2 of 3 at epoch 1, the best 1 went on"),
            r"sgd-001 is stopped early \(asha: rank 2 of 3 .* though it is paused, by the rules",
        ),
    ],
)
def test_a_promotion_that_was_not_earned_is_told(
    change: Callable[[Events], Events], message: str, promoted: Sweep
) -> None:
    promoted.rewrite(change)
    with pytest.raises(AssertionError, match=message):
        check_sweep(promoted.home, promoted.sweep_id)


@pytest.mark.filterwarnings("ignore:Query string argument")
@pytest.mark.parametrize("written", [PASSWORD, "a%2Fb"])
def test_a_password_in_a_file_is_told(written: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes no password, so the URI has one where it changes nothing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{sweep.home.tracking_uri}?password={written}")
    check_sweep(sweep.home, sweep.sweep_id)
    (sweep.folder.logs / "driver.log").write_text(f"postgresql://sweeps:{written}@host/db")
    with pytest.raises(AssertionError, match=r"logs/driver\.log has a password in it"):
        check_sweep(sweep.home, sweep.sweep_id)


def test_every_violation_is_told_at_once(sweep: Sweep) -> None:
    for spoil, _ in (CONTRADICTIONS["an open trial"], CONTRADICTIONS["a failure without a log"]):
        spoil(sweep)
    with pytest.raises(AssertionError, match=r"(?s)in 3 points:\n- sgd-003 failed .*\n- sgd-001 is RUNNING"):
        check_sweep(sweep.home, sweep.sweep_id)


def test_a_race_with_a_selection_and_defaults_is_told_alike_by_all(raced: Sweep) -> None:
    check_sweep(raced.home, raced.sweep_id)
    table = load_sweep(raced.sweep_id, raced.home.tracking_uri)
    assert {stage: len(table.select("sgd", stage)) for stage in STAGES[1:]} == {"select": 4, "confirm": 4, "default": 4}
    assert {stage: len(table.select("adam", stage)) for stage in STAGES[1:]} == {
        "select": 4,
        "confirm": 6,
        "default": 6,
    }
    assert list(find_dropped(table)) == ["sgd"]
    assert count_saved(table) == 2
    rows = build_leaderboard(table)
    assert [row.arm for row in rows] == ["adam", "sgd"]
    judgement = judge_retrainings(table, rows)
    assert judgement is not None
    assert judgement.by_seeds.winner(("adam", "sgd")) == "adam"
    assert judgement.winner is None  # of its few trials none is ahead: its settings may be luck
    text = raced.folder.report.read_text()
    for said in ("The race dropped sgd after 4 seeds", "not enough trials", "adam, untuned", "mean over fresh seeds"):
        assert said in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (edit_param("adam-select-00", "seed", "5"), "adam-select-00 has not the settings, or not the seed"),
        (edit_param("adam-default-01", "seed", "5"), "adam-default-01 has not the settings, or not the seed"),
        (edit_run("adam-select-03", "lifecycle_stage = 'deleted'"), "adam lacks 1 retrainings of 4"),
        (edit_run("adam-default-05", "lifecycle_stage = 'deleted'"), "adam lacks 1 retrainings of 12"),
    ],
)
def test_a_contradiction_of_the_confirm_stage_is_told(
    spoil: Callable[[Sweep], None], message: str, raced: Sweep
) -> None:
    spoil(raced)
    with pytest.raises(AssertionError, match=message):
        check_sweep(raced.home, raced.sweep_id)
