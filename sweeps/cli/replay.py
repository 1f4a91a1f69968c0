"""The command that trains one trial of a sweep again, beside what was recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import Json
from sweeps.cli.printing import print_json

if TYPE_CHECKING:
    from sweeps.remote.loading import Recorded
    from sweeps.terminal import PlainConsole
    from tracking.analysis.replayed import ReplayedEpoch
    from tracking.table import SweepTable, TrialRow
    from trainer.loop.training_run import TrainingRun


@dataclass(frozen=True)
class _Replay:
    """A trial that is ready to be trained again.

    Attributes:
        notes: Sentences on what is known to be other than it was.
    """

    trial: TrialRow
    run: TrainingRun
    notes: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        """Whether it failed when it was recorded, in the epoch after the last one."""
        from tracking.names import TrialState

        return self.trial.state is TrialState.FAILED


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(replay)


def replay(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="Trial of the sweep, such as adam-003.")],
    sweep_id: Annotated[
        str | None,
        typer.Option(
            "--sweep", metavar="ID", help="Sweep id, or its beginning; the latest when left out.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one trial again from its settings and seed, here and without Ray, and compare every epoch.

    Ends with "identical to the bit", "equal within x" (both exit code 0), or "differs from epoch e on" (exit code 5).
    A trial that was stopped early is trained to its last epoch, one that failed to the epoch in which it did.
    """
    from sweeps.environment import describe_driver
    from sweeps.errors import ExitCode
    from sweeps.remote.loading import load_recorded
    from sweeps.terminal import open_console
    from tracking.analysis.replayed import Sameness, judge_replay, list_reasons, tell_replay

    console = open_console()
    with interrupted_as(lambda: "nothing was changed"):
        recorded = load_recorded(sweep_id)
        prepared = _prepare(recorded, _find_recorded(recorded.table, trial))
        if not as_json:
            _print_head(console, recorded.sweep_id, prepared)
        epochs = []
        for epoch in _train(prepared):
            epochs.append(epoch)
            if not as_json:
                _print_epoch(console, epoch)
    outcome = judge_replay(epochs)
    is_identical = outcome.sameness is Sameness.IDENTICAL
    reasons = () if is_identical else (*prepared.notes, *list_reasons(recorded.table.manifest, describe_driver({})))
    if as_json:
        facts: dict[str, Any] = {"sweep_id": recorded.sweep_id, "trial": trial, **asdict(outcome)}
        print_json({**facts, "reasons": list(reasons), "epochs": [asdict(epoch) for epoch in epochs]})
    else:
        if epochs:
            console.print(f"{trial}: {tell_replay(outcome, epochs[-1].epoch)}", soft_wrap=True)
        if prepared.has_failed:
            lost = prepared.trial.num_epochs + 1
            console.print(f"epoch {lost}, in which it failed then, was trained here without a failure", soft_wrap=True)
        if not is_identical:
            console.print(_tell_reasons(reasons), soft_wrap=True)
    raise typer.Exit(int(ExitCode.DIFFERS if outcome.sameness is Sameness.DIFFERENT else ExitCode.DONE))


def _find_recorded(table: SweepTable, trial_id: str) -> TrialRow:
    """A trial that there is something to compare with, or that failed before there was."""
    from sweeps.errors import BadUsage
    from sweeps.remote.loading import find_trial
    from tracking.names import TrialState

    found = find_trial(table, trial_id)
    if not found.num_epochs and found.state is not TrialState.FAILED:
        raise BadUsage(f"{trial_id} of {table.sweep_id}: no epoch of it is recorded, so there is nothing to compare")
    return found


def _prepare(recorded: Recorded, trial: TrialRow) -> _Replay:
    """The training of a trial, with the same images, device and threads as it had.

    Raises:
        BadUsage: It cannot be trained here as it was.
    """
    from sweeps.errors import BadUsage
    from sweeps.remote.loading import load_resolved_spec
    from sweeps.stopping.rules import RULES
    from tracking.names import STAGE_SEARCH
    from trainer.config import ConfigError, build_trial_config
    from trainer.data.dataset import DataUnavailable
    from trainer.data.load import load_dataset
    from trainer.loop.training_run import TrainingRun

    spec, where = load_resolved_spec(recorded), f"{trial.trial_id} of {recorded.sweep_id}"
    rule = spec.early_terminate
    if trial.stage == STAGE_SEARCH and rule is not None and RULES[rule.type].changes_settings:
        raise BadUsage(
            f"{where}: under {rule.type} settings change and weights are taken over while trials run, so it cannot be "
            "trained again from its settings alone; only retrainings can"
        )
    device, notes = ("cpu", []) if not spec.resources.gpu else (None, ["it may have run on another kind of GPU"])
    try:
        config = build_trial_config(trial.parameters)
        data = load_dataset(config.dataset, config.data_dir)
        known = recorded.table.manifest.get("data")
        digest = known.get("digest") if isinstance(known, dict) else None
        if digest not in (None, data.digest):
            raise BadUsage(f"{where}: the images of {config.dataset} here are not those that the sweep had")
        run = TrainingRun(config, data, device=device, num_threads=spec.resources.cpu)
    except (ConfigError, DataUnavailable) as error:
        raise BadUsage(f"{where} cannot be trained here: {error}") from error
    if spec.resources.gpu and run.device.type != "cuda":
        notes = ["it was trained on a GPU, and there is none here"]
    return _Replay(trial, run, tuple(notes))


def _train(prepared: _Replay) -> Iterator[ReplayedEpoch]:
    """Yields each epoch of a trial beside its record, and what was read from the test split where it was read.

    Raises:
        NothingSucceeded: The training fails.
    """
    from sweeps.errors import NothingSucceeded
    from tracking.analysis.replayed import compare_epoch, compare_test
    from tracking.names import TEST_ACCURACY, TEST_LOSS
    from trainer.failures import describe_error

    trial, run = prepared.trial, prepared.run
    try:
        while run.epoch < trial.num_epochs and run.stop_reason is None:
            result = run.run_epoch()
            yield compare_epoch(trial, result.epoch, result.metrics())
        for epoch in range(run.epoch + 1, trial.num_epochs + 1):  # it diverged here, and did not then
            yield compare_epoch(trial, epoch, {})
        if prepared.has_failed and run.stop_reason is None:
            run.run_epoch()
        if TEST_ACCURACY in trial.summary and run.stop_reason not in (None, "diverged"):
            test_loss, test_accuracy = run.evaluate_test()
            yield compare_test(trial, run.epoch, {TEST_LOSS: test_loss, TEST_ACCURACY: test_accuracy})
    except Exception as error:  # the border: code of the user's may raise anything
        reason = describe_error(error)[0]
        raise NothingSucceeded(f"{trial.trial_id}: its training failed in epoch {run.epoch}: {reason}") from error


def _print_head(console: PlainConsole, sweep_id: str, prepared: _Replay) -> None:
    trial, run = prepared.trial, prepared.run
    state = str(trial.state or "running").replace("_", " ")
    console.print(
        f"{trial.trial_id} of {sweep_id}: seed {trial.seed}, {state} after epoch {trial.num_epochs}; "
        f"here on {run.device} in {run.precision}",
        soft_wrap=True,
    )
    console.print(f"{'epoch':>5}  {'train loss':>10}  {'recorded':>10}  {'val acc.':>9}  {'recorded':>9}  difference")


def _print_epoch(console: PlainConsole, epoch: ReplayedEpoch) -> None:
    from tracking.names import TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS, VAL_ACCURACY

    is_test = TEST_ACCURACY in epoch.values
    loss, accuracy = (TEST_LOSS, TEST_ACCURACY) if is_test else (TRAIN_LOSS, VAL_ACCURACY)

    def show(values: Any, name: str, form: str) -> str:
        return format(values[name], form) if name in values else "–"

    cells = (show(epoch.values, loss, ".6f"), show(epoch.recorded, loss, ".6f"))
    shares = (show(epoch.values, accuracy, ".2%"), show(epoch.recorded, accuracy, ".2%"))
    difference = f"{epoch.difference:.1e} in {epoch.largest}" if epoch.largest else "none"
    console.print(
        f"{'test' if is_test else epoch.epoch:>5}  {cells[0]:>10}  {cells[1]:>10}  {shares[0]:>9}  {shares[1]:>9}  "
        f"{difference}",
        soft_wrap=True,
    )


def _tell_reasons(reasons: tuple[str, ...]) -> str:
    if reasons:
        return f"Why that may be: {'; '.join(reasons)}."
    return (
        "Why that may be: this process has the versions and the processor that the manifest names. The trial may have "
        "run on another node, or the code may have been changed since."
    )
