"""Whole sweeps on a real local Ray with a real MLflow store."""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
import ray
import torch
from checker import check_sweep
from small_sweep import IMAGES
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.driver.cluster import start_ray
from sweeps.driver.driver import resume_sweep, run_sweep
from sweeps.driver.history import MoreRetrainings
from sweeps.errors import BadUsage, ExitCode, Unreachable
from sweeps.home import Home, SweepFolder
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.spec import SweepSpec
from sweeps.trials.ledger import TrialEntry
from tracking.analysis.leaderboard import build_leaderboard, find_best
from tracking.analysis.next_steps import build_next_steps
from tracking.analysis.verdict import judge_retrainings, tell_headline
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, STAGES, TrialState
from tracking.store.queries import load_sweep
from tracking.table import SweepTable
from trainer.config.changes import apply_changes, parse_changes
from trainer.data.load import load_dataset

pytestmark = [pytest.mark.cluster]

BuildSpec = Callable[..., SweepSpec]


def search_runs(home: Home) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(home.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments))


def run_statuses(home: Home) -> list[str]:
    return [run.info.status for run in search_runs(home)]


def assert_epochs_are_whole(table: SweepTable) -> None:
    """Every trial that reported has each epoch once, from 1 to its last."""
    for trial in table.trials:
        epochs = [epoch for epoch, _ in trial.history.get("val_accuracy", ())]
        assert epochs == list(range(1, len(epochs) + 1)), trial.trial_id


def assert_nothing_is_left(folder: SweepFolder) -> None:
    """Of a sweep that is over neither what Tune wrote for itself is left, nor any checkpoint that cannot win.

    One retraining of each arm but the winner's may yet, once there are more seeds.
    """
    arms = [trial_id.rpartition("-confirm-")[0] for trial_id in folder.trials_with_checkpoints()]
    assert all(arms)
    assert len(arms) == len(set(arms)) <= 1  # of two arms
    files = [path for path in folder.ray.rglob("*") if not path.is_dir()]
    assert all(any(part.startswith("checkpoint_") for part in path.parts) for path in files)


class TestOnOneRay:
    """Sweeps of one process that has a Ray already, as a notebook may: they use it, and leave it as it was."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def ray_of_its_own(cls) -> Iterator[None]:
        start_ray(data_bytes=100_000_000)
        yield
        assert ray.is_initialized()
        ray.shutdown()

    def test_the_best_are_selected_and_confirmed_beside_their_defaults_and_later_with_more_seeds(
        self, home: Home, build_spec: BuildSpec
    ) -> None:
        confirm = "confirm={top: 1, seeds: 1, select: {top: 2, seeds: 1}, defaults: true}"
        changes = ("budget.trials_per_arm=2", "early_terminate=null", "parameters.epochs=2", confirm)
        outcome = run_sweep(build_spec(*changes), home)
        assert (outcome.state, outcome.problem) == ("completed", "")
        check_sweep(home, outcome.sweep_id)
        outcome = resume_sweep(outcome.sweep_id, home, more=MoreRetrainings(seeds=2))
        assert (outcome.state, outcome.problem) == ("completed", "")
        check_sweep(home, outcome.sweep_id)
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        for arm in ("sgd", "adam"):
            counts = [len(table.select(arm, stage)) for stage in STAGES]
            assert counts == [2, 2, 2, 2]
        assert table.confirmation.seeds == 2
        with pytest.raises(BadUsage, match="it has the best 1 of each arm with 2 seeds already"):
            resume_sweep(outcome.sweep_id, home, more=MoreRetrainings(seeds=2))
        assert_nothing_is_left(outcome.folder)

    def test_a_sweep_that_has_ended_goes_on_by_the_command_that_it_is_told_to_go_on_with(
        self, home: Home, build_spec: BuildSpec
    ) -> None:
        larger = ("parameters.train_size=1600", "confirm.seeds=6")  # a verdict, so that the extension is another look
        rates = "parameters.optimizer.choices.sgd.lr={values: [0.001, 0.01, 0.1]}"  # the best is the greatest
        small = ("method=bayes", "budget.trials_per_arm=3", "parameters.epochs=3", "early_terminate=null")
        outcome = run_sweep(build_spec(*small, *larger, rates), home)
        assert (outcome.state, outcome.problem) == ("completed", "")
        before = load_sweep(outcome.sweep_id, home.tracking_uri)
        step = build_next_steps(before, build_leaderboard(before))[0]
        assert "lr 0.1 of sgd" in step.reason
        command = shlex.split(step.command)
        assert command[:4] == ["sweeps", "run", "--extend", outcome.sweep_id]
        ended = CliRunner().invoke(app, command[1:])
        assert ended.exit_code == ExitCode.DONE, ended.output
        check_sweep(home, outcome.sweep_id)
        after = load_sweep(outcome.sweep_id, home.tracking_uri)
        kept = {trial.trial_id: (trial.parameters, trial.summary) for trial in after.trials}
        assert all(kept[trial.trial_id] == (trial.parameters, trial.summary) for trial in before.trials)
        assert {len(after.select(arm)) for arm in after.arms} == {5}
        assert after.confirmation.extensions == 1
        assert any("Extended on" in notice and "now [0.001, 0.01, 0.1, 1.0]" in notice for notice in after.notices)
        with pytest.raises(BadUsage, match="nothing would change"):
            resume_sweep(outcome.sweep_id, home, overrides=command[5::2], extends=True)
        assert_nothing_is_left(outcome.folder)

    def test_four_equal_arms_end_in_no_winner(self, home: Home, build_spec: BuildSpec) -> None:
        lr = "{lr: {min: 0.09, max: 0.11}}"
        names = ("sgd", "'torch.optim:SGD'", "'torch.optim.sgd:SGD'")
        arms = ", ".join([f"{name}: {lr}" for name in names] + [f"momentum: {lr[:-1]}, momentum: 0.0}}"])
        small = ("budget.trials_per_arm=1", "parameters.epochs=1", "early_terminate=null", "confirm.seeds=6")
        outcome = run_sweep(build_spec(*small, f"parameters.optimizer={{choices: {{{arms}}}}}"), home)
        assert (outcome.state, outcome.problem) == ("completed", "")
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        rows = build_leaderboard(table)
        judgement = judge_retrainings(table, rows)
        assert judgement is not None
        assert len(judgement.arms) == 4
        assert {summary.num_seeds for summary in judgement.arms.values()} == {6}
        assert judgement.winner is None
        assert tell_headline(judgement).startswith(("A tie between ", "No winner yet: "))

    def test_a_sweep_from_file_to_report(self, home: Home, build_spec: BuildSpec) -> None:
        outcome = run_sweep(build_spec("method=bayes"), home)
        assert (outcome.exit_code, outcome.state, outcome.problem) == (ExitCode.DONE, "completed", "")
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        for arm in ("sgd", "adam"):
            stages = [trial.stage for trial in table.trials if trial.arm == arm]
            assert stages.count(STAGE_SEARCH) == 3
            assert stages.count(STAGE_CONFIRM) == 1
        for trial in table.trials:
            assert trial.state in (TrialState.COMPLETED, TrialState.EARLY_STOPPED, TrialState.DIVERGED)
            assert ("test_accuracy" in trial.summary) == (trial.stage == STAGE_CONFIRM)
            if trial.state is TrialState.EARLY_STOPPED:
                assert trial.stop_reason.startswith("asha")
                assert len(trial.history["val_accuracy"]) < 4
        assert_epochs_are_whole(table)
        assert "RUNNING" not in run_statuses(home)
        folder = outcome.folder
        report = folder.report.read_text()
        assert "adam" in report
        assert "<dd>completed</dd>" in report
        assert len(folder.driver_log.read_text().splitlines()) == len(table.trials)
        assert len(folder.trials.read_text().splitlines()) == 1 + len(table.trials)
        assert json.loads(folder.manifest.read_text())["data"]["name"] == "imagefolder"
        assert_the_winner_is_registered(table, home)
        assert_nothing_is_left(folder)
        true_bytes = sum(path.stat().st_size for path in home.path.rglob("*") if path.is_file())
        assert 0.5 < table.manifest["plan"]["disk"]["end_bytes"]["mid"] / true_bytes < 2

    def test_paused_trials_go_on_from_their_checkpoints_when_they_are_promoted(
        self, home: Home, build_spec: BuildSpec
    ) -> None:
        overrides = ("early_terminate={type: asha_promotion, eta: 2}", "budget.trials_per_arm=4", "confirm.top=0")
        outcome = run_sweep(
            build_spec(*overrides, "compare=null", "parameters.optimizer=adam", "parameters.lr=0.001"), home
        )
        assert outcome.exit_code is ExitCode.DONE
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        assert_epochs_are_whole(table)
        lengths = {trial.trial_id: len(trial.history["val_accuracy"]) for trial in table.trials}
        assert {trial.state for trial in table.trials} == {TrialState.COMPLETED, TrialState.EARLY_STOPPED}
        went_on = [trial_id for trial_id, length in lengths.items() if length > 1]
        assert len(went_on) in (1, 2, 3)  # of four the best two, and who was among the best when fewer had come
        best = max(table.trials, key=lambda trial: trial.history["val_accuracy"][0][1])
        assert best.trial_id in went_on
        for trial_id in went_on:
            parts = sorted(folder.name for folder in outcome.folder.ray.glob(f"*/{trial_id}*"))
            assert parts[:2] == [trial_id, f"{trial_id}_001"]  # a folder for each part
        assert_nothing_is_left(outcome.folder)

    def test_the_best_of_a_population_is_retrained_with_its_course_of_settings(
        self, home: Home, build_spec: BuildSpec
    ) -> None:
        rule = "early_terminate={type: pbt, interval: 1, quantile: 0.5, resample: 0, factor: 1000}"
        lr = "parameters.lr={distribution: log_uniform_values, min: 1.0e-5, max: 0.1}"
        points = f"points=[{', '.join(['{lr: 1.0e-5}'] * 4)}]"  # nobody learns before a copy is given a higher rate
        alone = (
            "compare=null",
            "parameters.optimizer=momentum",
            "budget.trials_per_arm=4",
            "parameters.train_size=3200",
            "metric={name: val_loss, goal: minimize}",
        )
        outcome = run_sweep(build_spec(rule, lr, points, *alone, "confirm={top: 1, seeds: 2}"), home)
        assert outcome.exit_code is ExitCode.DONE
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        assert_epochs_are_whole(table)
        check_sweep(home, outcome.sweep_id)
        best = find_best(table, "all")
        assert best is not None
        confirmed = table.confirmed("all")
        assert [trial.configuration == best.configuration for trial in confirmed] == [True, True]
        changes = parse_changes(str(confirmed[0].parameters["changes"]))
        lrs = [apply_changes(confirmed[0].parameters, epoch)["lr"] for epoch in range(4)]
        assert changes
        for trial in confirmed:
            assert [value for _, value in trial.history["setting.lr"]] == lrs
            assert [value for _, value in trial.history["lr"]] == pytest.approx(lrs)

    def test_a_lost_worker_costs_no_trial(self, home: Home, build_spec: BuildSpec) -> None:
        killed: list[str] = []

        def kill_once(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
            if event is TrialEvent.EPOCH and entry is not None and entry.epoch == 2 and not killed:
                killed.append(entry.trial_id)
                os.kill(worker_pid(), signal.SIGKILL)

        outcome = run_sweep(build_spec("early_terminate=null", "budget.trials_per_arm=1"), home, listeners=[kill_once])
        assert killed
        assert outcome.exit_code is ExitCode.DONE
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        assert {trial.state for trial in table.trials} == {TrialState.COMPLETED}
        assert all(len(trial.history["val_accuracy"]) == 4 for trial in table.trials)
        assert_epochs_are_whole(table)

    def test_divergence_is_an_outcome_and_not_a_failure(self, home: Home, build_spec: BuildSpec) -> None:
        outcome = run_sweep(
            build_spec(
                "parameters.optimizer.choices.sgd.lr={value: 1e6}", "confirm.top=0", "parameters.precision=fp32"
            ),
            home,
        )
        assert outcome.exit_code is ExitCode.DONE
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        assert {trial.state for trial in table.trials if trial.arm == "sgd"} == {TrialState.DIVERGED}
        for trial in table.trials:
            assert all(math.isfinite(value) for points in trial.history.values() for _, value in points)
        assert run_statuses(home).count("FAILED") == 3

    def test_impossible_resources_are_refused_before_anything_starts(self, home: Home, build_spec: BuildSpec) -> None:
        with pytest.raises(BadUsage, match=r"a trial asks for 1000 CPU .* no node has that much"):
            run_sweep(build_spec("resources.cpu=1000"), home)
        assert home.sweep_ids() == []

    def test_the_grid_runs_every_combination_once(self, home: Home, build_spec: BuildSpec) -> None:
        outcome = run_sweep(
            build_spec(
                "method=grid",
                "budget.trials_per_arm=null",
                "early_terminate=null",
                "confirm.top=0",
                "parameters.epochs=1",
                "parameters.optimizer={choices: {sgd: {lr: 0.1}, adam: {lr: 0.001}}}",
            ),
            home,
        )
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        combinations = {
            (trial.arm, trial.parameters["batch_size"], trial.parameters["initializer"]) for trial in table.trials
        }
        assert len(combinations) == len(table.trials) == 8

    def test_without_cifar10_a_sweep_ends_or_falls_back_loudly_where_its_file_allows(
        self, home: Home, build_spec: BuildSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there: no download anywhere
        cifar10 = ["parameters.dataset=cifar10", f"parameters.data_dir={tmp_path / 'empty'}"]
        with pytest.raises(BadUsage, match="CIFAR-10"):
            run_sweep(build_spec(*cifar10), home)
        outcome = run_sweep(
            build_spec(
                *cifar10, "fallback=synthetic", "budget.trials_per_arm=1", "parameters.epochs=2", "confirm.top=0"
            ),
            home,
        )
        table = load_sweep(outcome.sweep_id, home.tracking_uri)
        assert table.notices[0].startswith("NOT CIFAR-10")
        assert {trial.parameters["dataset"] for trial in table.trials} == {"synthetic"}
        assert "NOT CIFAR-10" in outcome.folder.report.read_text()
        (parent,) = [run for run in search_runs(home) if "sweep.fallback" in run.data.tags]
        assert parent.data.tags["sweep.fallback"] == "synthetic"


def assert_the_winner_is_registered(table: SweepTable, home: Home) -> None:
    """The model that others load predicts as the retrained network did when its test accuracy was read."""
    (version,) = mlflow.MlflowClient(home.tracking_uri).search_model_versions("name = 'cifar10'")
    (winner,) = [trial for trial in table.trials if trial.trial_id == version.tags["trial.id"]]
    assert winner.stage == STAGE_CONFIRM
    assert version.tags["sweep.id"] == table.sweep_id
    with warnings.catch_warnings(action="ignore"):  # what MLflow remarks on its own code as it is imported
        from mlflow.pytorch import load_model

        network = load_model(version.source)
    data = load_dataset("imagefolder", str(IMAGES))
    with torch.no_grad():
        logits_NK = network(torch.from_numpy(data.test_images_NHWC.transpose(0, 3, 1, 2).astype("float32")))
    accuracy = (logits_NK.argmax(1).numpy() == data.test_labels_N).mean()
    assert accuracy == pytest.approx(winner.summary["test_accuracy"], abs=2e-3)  # bf16 may turn a close call


def test_a_plan_measures_where_trials_would_run_and_the_report_says_how_it_came(
    home: Home, build_spec: BuildSpec, tmp_path: Path
) -> None:
    overrides = ("budget.trials_per_arm=1", "confirm.top=0")
    outcome = run_sweep(build_spec(*overrides), home, measure=True)
    plan = load_sweep(outcome.sweep_id, home.tracking_uri).manifest["plan"]
    assert isinstance(plan, dict)
    assert 0 < plan["wall_seconds"]["low"] <= plan["wall_seconds"]["mid"] <= plan["wall_seconds"]["high"]
    assert plan["epochs"] == {"low": 8.0, "mid": 8.0, "high": 8.0}
    assert "Predicted and actual" in outcome.folder.report.read_text()
    command = [sys.executable, "-m", "sweeps.cli", "run", str(tmp_path / "small.yaml"), "--dry-run", "--json"]
    sets = [part for override in overrides for part in ("--set", override)]
    done = subprocess.run([*command, *sets], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["epochs"] == plan["epochs"]
    assert len([each for each in facts["costs"] if each["cost"]]) == 4
    assert len(list(home.path.glob("small-*"))) == 1, "a dry run leaves no sweep behind"


OWN = """
import torch


class Own(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
"""


def test_trials_run_in_the_processes_that_ray_has_started_ahead(home: Home, build_spec: BuildSpec) -> None:
    sessions: list[tuple[Path, int]] = []

    def look(*_: object) -> None:
        node = ray._private.worker._global_node
        sessions.append((Path(node.get_session_dir_path()), int(ray.cluster_resources()["CPU"])))

    run_sweep(
        build_spec("budget.trials_per_arm=1", "parameters.epochs=1", "early_terminate=null", "confirm.top=0"),
        home,
        listeners=[look],
    )
    folder, num_cpus = sessions[0]
    started = (folder / "logs" / "raylet.out").read_text().count("Started worker process")
    assert started == num_cpus  # else some have imported torch in vain, and others had to do it after them


def test_trials_run_in_forks_and_a_sweep_outlives_what_they_are_forks_of(home: Home, build_spec: BuildSpec) -> None:
    workers: list[psutil.Process] = []

    def look(sweep: RunningSweep, trial: TrialEntry | None, event: TrialEvent) -> None:
        if event is TrialEvent.EPOCH and not workers:
            workers.append(psutil.Process(worker_pid()))
            server = workers[0].parent()
            assert server is not None
            assert any(part.endswith("forking/server.py") for part in server.cmdline())
            server.kill()
            workers[0].kill()  # so that another has to be started, by Ray itself

    outcome = run_sweep(
        build_spec("budget.trials_per_arm=1", "early_terminate=null", "confirm.top=0"), home, listeners=[look]
    )
    assert outcome.exit_code is ExitCode.DONE
    assert workers
    trials = load_sweep(outcome.sweep_id, home.tracking_uri).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETED] * 2
    assert all(len(trial.history["val_accuracy"]) == 4 for trial in trials)


def test_files_called_as_libraries_are_run_nowhere_in_a_sweep(
    home: Home, build_spec: BuildSpec, tmp_path: Path
) -> None:
    build_spec()
    for library in ("torch", "numpy", "pandas", "pyarrow", "pydantic", "rich", "json", "ray", "mlflow", "optuna"):
        (tmp_path / f"{library}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({library!r})\n")
    (tmp_path / "own.py").write_text(OWN)
    sets = ["parameters.optimizer=own:Own", "compare=null", "parameters.lr=0.1", "parameters.epochs=1"]
    sets += ["early_terminate=null", "budget={trials: 1}", "confirm.top=0"]
    command = [sys.executable, "-m", "sweeps.cli", "run", "small.yaml"]
    done = subprocess.run(
        [*command, *(part for each in sets for part in ("--set", each))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


HANGING = """
import time

import torch


class HangingSGD(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.num_steps = 0

    def step(self, closure=None):
        self.num_steps += 1
        while self.num_steps > 12 and self.param_groups[0]["lr"] > 0.15:
            time.sleep(0.1)
        return super().step(closure)
"""


def test_a_trial_that_hangs_fails_and_gives_its_slot_away(
    home: Home, build_spec: BuildSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanging.py").write_text(HANGING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    spec = build_spec(
        "method=grid",
        "compare=null",
        "budget={trial_hours: 0.008}",
        "early_terminate=null",
        "confirm.top=0",
        "parameters.optimizer=hanging:HangingSGD",
        "parameters.lr={values: [0.2, 0.1]}",
        "parameters.batch_size=32",
        "parameters.initializer=he_normal",
    )
    outcome = run_sweep(spec, home)
    assert outcome.exit_code is ExitCode.SOME_TRIALS_FAILED
    hung, done = sorted(load_sweep(outcome.sweep_id, home.tracking_uri).trials, key=lambda trial: trial.number)
    assert (hung.state, done.state) == (TrialState.FAILED, TrialState.COMPLETED)
    assert hung.stop_reason == "hung: no epoch ended within trial_hours, 0.008"
    assert len(hung.history["val_accuracy"]) == 1
    assert len(done.history["val_accuracy"]) == 4


def worker_pid() -> int:
    """The process of a trial that runs now: Ray's processes descend from the driver's and are titled by their actor."""
    children = psutil.Process().children(recursive=True)
    return next(child.pid for child in children if "Trainable" in "".join(child.cmdline()))


def test_too_few_images_are_found_before_anything_starts(home: Home, build_spec: BuildSpec, tmp_path: Path) -> None:
    write_images(tmp_path / "pictures", per_class=20)
    images = ["parameters.dataset=imagefolder", f"parameters.data_dir={tmp_path / 'pictures'}"]
    with pytest.raises(BadUsage, match="train_size: found 320; allowed: up to 36"):
        run_sweep(build_spec(*images), home)
    with pytest.raises(BadUsage, match="batch_size: found 64; allowed: up to 36"):
        run_sweep(build_spec(*images, "parameters.train_size=null"), home)
    assert home.sweep_ids() == []


def write_images(folder: Path, per_class: int) -> None:
    """Two classes of plain images in the layout of `dataset: imagefolder`."""
    from PIL import Image

    for split in ("train", "test"):
        for label, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
            (folder / split / label).mkdir(parents=True)
            for number in range(per_class):
                shade = tuple(min(255, channel + number) for channel in colour)
                Image.new("RGB", (40, 36), shade).save(folder / split / label / f"{number}.png")


def test_a_setting_that_the_machine_cannot_do_is_refused_before_anything_starts(
    home: Home, build_spec: BuildSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "absent-compiler")
    with pytest.raises(
        BadUsage, match="cannot run where trials run: compile: found true, but there is no compiler 'absent-comp"
    ):
        run_sweep(build_spec("parameters.compile=true"), home, measure=True)
    assert not any(home.path.glob("small-*"))


def test_an_unreachable_tracking_server_is_refused_before_anything_starts(
    home: Home, build_spec: BuildSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        run_sweep(build_spec(), home)


def run_until(command: list[str], text: str, number: signal.Signals) -> tuple[int, str]:
    """Runs a command, sends it a signal when it has printed `text`, and returns its exit code and what it printed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(120, process.kill)
        timer.start()
        output = []
        for line in process.stdout:
            output.append(line)
            if text in line:
                process.send_signal(number)
                break
        output += process.stdout.readlines()
        timer.cancel()
        return process.wait(), "".join(output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_sweep_cut_short_is_resumed_without_losing_or_repeating_a_trial(
    number: signal.Signals, home: Home, build_spec: BuildSpec, tmp_path: Path
) -> None:
    overrides = ["--set", "parameters.epochs=8", "--set", "early_terminate=null", "--set", "budget.trials_per_arm=3"]
    command = [sys.executable, "-m", "sweeps.cli"]
    start = [*command, "run", str(tmp_path / "small.yaml"), "--no-measure", *overrides]
    code, output = run_until(start, "(2 ended)", number)
    (sweep_id,) = home.sweep_ids()
    if number is signal.SIGINT:
        assert code == ExitCode.INTERRUPTED, output
        assert f"sweeps resume {sweep_id}" in output
        assert "RUNNING" not in run_statuses(home)
    else:
        code, output = run_until([*command, "resume"], "(4 ended)", number)  # and once more
        assert code == -signal.SIGKILL, output
    resumed = subprocess.run([*command, "resume", "--json-lines"], capture_output=True, text=True, check=False)
    assert resumed.returncode == ExitCode.DONE, resumed.stderr
    table = load_sweep(sweep_id, home.tracking_uri)
    events = [json.loads(line) for line in resumed.stdout.splitlines()]
    assert {"event": "sweep", "sweep_id": sweep_id, "state": "running"} in events
    assert {each["event"] for each in events} >= {"message", "started", "epoch", "ended"}
    assert (events[-1]["event"], events[-1]["state"]) == ("outcome", "completed")
    identifiers = [trial.trial_id for trial in table.trials]
    assert len(identifiers) == len(set(identifiers)) == 8, resumed.stdout + resumed.stderr
    assert {trial.state for trial in table.trials} == {TrialState.COMPLETED}
    assert all(len(trial.history["val_accuracy"]) == 8 for trial in table.trials)
    assert_epochs_are_whole(table)
    assert table.state == "completed"
    assert "RUNNING" not in run_statuses(home)
    assert_the_winner_is_registered(table, home)
    assert_nothing_is_left(home.folder(sweep_id))
