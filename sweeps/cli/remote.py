"""The commands that look after sweeps which run elsewhere: in another terminal, or on a cluster."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import Address, Follow, Json, JsonLines, Output, Storage, SweepId, choose_output
from sweeps.cli.printing import build_table, open_view, print_json, print_outcome
from sweeps.library_output import terminal_error
from sweeps.trials.confirm import MAX_RETRAINED

if TYPE_CHECKING:
    from sweeps.remote.jobs import JobsClient
    from sweeps.remote.submission import Submission
    from tracking.store.control_channel import Request
    from tracking.store.queries import SweepStatus


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    for command in (submit, status, logs, pause, resume, confirm, stop, cancel):
        app.command()(command)


def submit(
    file: Annotated[Path, typer.Argument(help="Sweep file.", show_default=False)],
    address: Address = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Overrides one value of the file.")
    ] = None,
    storage: Storage = None,
    working_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of your own modules, sent along.", show_default=False)
    ] = None,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Hand a sweep to a running Ray cluster."""
    from sweeps.home import open_home
    from sweeps.remote.jobs import JobsClient
    from sweeps.remote.submission import submit_sweep

    cluster = JobsClient(address)
    submission = submit_sweep(open_home(), file, overrides or (), cluster, storage=storage, working_dir=working_dir)
    _print_submission(submission, cluster, follow=follow, as_json=as_json)


def status(sweep_id: SweepId = None, address: Address = None, as_json: Json = False) -> None:
    """Show how a sweep stands."""
    from sweeps.errors import SweepError
    from sweeps.home import open_home
    from sweeps.remote.control import find_sweep
    from sweeps.remote.jobs import has_address
    from tracking.store.queries import load_status

    home = open_home()
    try:
        found = load_status(find_sweep(home, sweep_id), home.tracking_uri)
    except SweepError:
        if not (sweep_id and has_address(address)):
            raise
        state = _open_cluster(address).job_state(sweep_id)  # its driver has not begun, or never got as far as MLflow
        if as_json:
            print_json({"sweep_id": sweep_id, "job": asdict(state)})
        else:
            sys.stdout.write(f"{sweep_id}: nothing in MLflow yet; its job is {state.status} {state.message}\n")
        return
    if as_json:
        print_json(asdict(found))
    else:
        _print_status(found)


def logs(
    sweep_id: SweepId = None,
    trial: Annotated[
        str | None,
        typer.Argument(metavar="TRIAL", help="One trial: its settings and why it ended.", show_default=False),
    ] = None,
    follow: Follow = False,
    address: Address = None,
) -> None:
    """Print what a sweep's driver has said; of one trial its settings, its last lines and how to run it alone."""
    if trial is not None:
        _print_trial(sweep_id, trial, follow=follow)
        return
    from sweeps.errors import BadUsage
    from sweeps.home import open_home
    from sweeps.remote.control import find_sweep
    from sweeps.remote.jobs import has_address
    from sweeps.remote.logs import read_logs
    from sweeps.terminal import write_plain

    home = open_home()
    cluster = _open_cluster(address) if has_address(address) else None
    try:
        found = find_sweep(home, sweep_id)
    except BadUsage:
        if cluster is None or sweep_id is None:
            raise
        found = sweep_id
    left = f"{found} goes on; end it with: sweeps cancel {found}" if follow else "nothing was changed"
    with interrupted_as(lambda: left):
        for text in read_logs(home, found, cluster, follow=follow):
            write_plain(text)


def _print_trial(sweep_id: str | None, trial: str, *, follow: bool) -> None:
    from sweeps.errors import BadUsage
    from sweeps.remote.loading import find_trial, load_recorded
    from sweeps.remote.trial_log import describe_trial
    from sweeps.terminal import write_plain

    if follow:
        raise BadUsage(f"{trial}: a trial has no log to follow; leave --follow out, or TRIAL for the whole sweep's")
    with interrupted_as(lambda: "nothing was changed"):
        recorded = load_recorded(sweep_id)
        lines = describe_trial(recorded, find_trial(recorded.table, trial))
    write_plain("\n".join(lines) + "\n")


def pause(sweep_id: SweepId = None) -> None:
    """Start no new trials until `resume`; those that run go on."""
    from tracking.store.control_channel import Request

    _ask(sweep_id, Request.PAUSE, "paused: no new trials until `sweeps resume`")


def stop(sweep_id: SweepId = None) -> None:
    """Start no new trials and end when those that run have ended; `resume` goes on later."""
    from tracking.store.control_channel import Request

    _ask(sweep_id, Request.STOP, "stopping: it ends when the running trials have ended")


def cancel(sweep_id: SweepId = None, address: Address = None) -> None:
    """End a sweep now; `resume` goes on later."""
    from sweeps.errors import BadUsage
    from sweeps.home import open_home
    from sweeps.remote.control import find_sweep
    from sweeps.remote.jobs import has_address
    from tracking.store.control_channel import Request

    try:
        _ask(sweep_id, Request.CANCEL, "cancelled")
    except BadUsage:
        if not has_address(address):
            raise
        cluster = _open_cluster(address)  # the driver is deaf or has not begun: its job can still be ended
        try:
            job = find_sweep(open_home(), sweep_id)
        except BadUsage:
            job = sweep_id or ""
        if not job or cluster.job_state(job).ended:
            raise
        cluster.stop(job)
        sys.stdout.write(f"{job}: its job was told to end\n")


def resume(
    sweep_id: SweepId = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Raises a limit of the budget, e.g. --set budget.trials=40."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Run trials that failed again.")] = False,
    extends: Annotated[bool, typer.Option("--extend", hidden=True, help="From `run --extend`, on a cluster.")] = False,
    address: Address = None,
    storage: Storage = None,
    follow: Follow = False,
    as_json: Json = False,
    json_lines: JsonLines = False,
) -> None:
    """Go on with a sweep that is paused, was stopped or interrupted, or crashed."""
    output = choose_output(as_json=as_json, json_lines=json_lines)
    if extends:
        extend(sweep_id, overrides or (), output)
        return
    arguments = [*(["--failed"] if failed else []), *_list_overrides(overrides or ())]
    go_on = _GoOn(["resume"], arguments, {"overrides": overrides or (), "retry_failed": failed})
    _go_on(sweep_id, go_on, address, storage, follow=follow, output=output)


def extend(sweep_id: str | None, overrides: Sequence[str], output: Output) -> None:
    """Goes on with the search of a sweep that has ended, larger: what `sweeps run --extend` does."""
    arguments = _list_overrides(overrides)
    go_on = _GoOn(["run", "--extend"], arguments, {"overrides": overrides, "extends": True})
    _go_on(sweep_id, go_on, None, None, follow=False, output=output)


def _list_overrides(overrides: Sequence[str]) -> list[str]:
    return [part for each in overrides for part in ("--set", each)]


def confirm(
    sweep_id: SweepId = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Seeds of each configuration in all; 10 when left out, or as many as there are.",
            min=1,
            max=MAX_RETRAINED,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(help="Configurations of each arm in all; 1 when left out, or as many.", min=1, max=MAX_RETRAINED),
    ] = None,
    address: Address = None,
    storage: Storage = None,
    follow: Follow = False,
    as_json: Json = False,
    json_lines: JsonLines = False,
) -> None:
    """Retrain the best of a sweep that has ended with more seeds: what is missing is added, nothing is repeated."""
    from sweeps.driver.history import MoreRetrainings

    given = [("--seeds", seeds), ("--top", top)]
    arguments = [part for name, number in given if number is not None for part in (name, str(number))]
    go_on = _GoOn(["confirm"], arguments, {"more": MoreRetrainings(seeds, top)})
    output = choose_output(as_json=as_json, json_lines=json_lines)
    _go_on(sweep_id, go_on, address, storage, follow=follow, output=output)


@dataclass(frozen=True)
class _GoOn:
    """How a sweep is to go on.

    Attributes:
        command: The words of the command that says so, up to the sweep's id.
        arguments: What that command was given after the id.
        options: The same for `resume_sweep`.
    """

    command: Sequence[str]
    arguments: Sequence[str]
    options: Mapping[str, Any]

    @property
    def order(self) -> Sequence[str]:
        """The same for a driver on a cluster, without the id."""
        return (
            ["resume", *self.command[1:], *self.arguments]
            if self.command[0] == "run"
            else [*self.command, *self.arguments]
        )

    def spell(self, sweep_id: str) -> str:
        """The command as it is typed in a shell."""
        return shlex.join(("sweeps", *self.command, sweep_id, *self.arguments))


def _go_on(
    sweep_id: str | None, go_on: _GoOn, address: str | None, storage: str | None, *, follow: bool, output: Output
) -> None:
    """Lets a sweep go on where it runs, or ran: in this process, or on its cluster."""
    from sweeps.errors import BadUsage
    from sweeps.home import open_home
    from sweeps.remote.control import Ways, find_sweep, way_to_resume
    from sweeps.remote.submission import resume_submitted
    from tracking.store.control_channel import Request
    from tracking.store.queries import load_status

    home = open_home()
    found = find_sweep(home, sweep_id)
    way = way_to_resume(home, found)
    command = go_on.spell(found)
    if way is Ways.UNPAUSE and go_on.order != ["resume"]:
        raise BadUsage(f"{found}: its driver waits; stop it first (`sweeps stop {found}`), then: {command}")
    if way is Ways.UNPAUSE:
        _ask(found, Request.RESUME, "goes on")
    elif way is Ways.SUBMIT:
        cluster = _open_cluster(address)
        submission = resume_submitted(home, load_status(found, home.tracking_uri), cluster, storage, go_on.order)
        _print_submission(submission, cluster, follow=follow, as_json=output is not Output.TEXT)
    else:
        from sweeps.driver.driver import resume_sweep

        with interrupted_as(lambda: f"go on with: {command}"), open_view(output) as view:
            outcome = resume_sweep(found, home, listeners=[view], preparation=view.preparation, **go_on.options)
        print_outcome(outcome, home.tracking_uri, output)


def _open_cluster(address: str | None) -> JobsClient:
    from sweeps.remote.jobs import JobsClient

    return JobsClient(address)


def _ask(sweep_id: str | None, request: Request, done: str) -> None:
    from sweeps.home import open_home
    from sweeps.remote.control import ask_sweep, find_sweep

    home = open_home()
    found = find_sweep(home, sweep_id)
    ask_sweep(home, found, request)
    sys.stdout.write(f"{found}: {done}\n")


def _print_submission(submission: Submission, cluster: JobsClient, *, follow: bool, as_json: bool) -> None:
    """Says where a sweep runs, and follows it; whoever interrupts that is told that it goes on."""
    from sweeps.terminal import write_plain

    found, job = submission.sweep_id, submission.job
    left = f"{found} goes on; follow it with: sweeps logs --follow {found}, end it with: sweeps cancel {found}"
    follows = follow and not as_json
    with interrupted_as(lambda: left):
        if as_json:
            print_json(asdict(submission))
        else:
            sys.stdout.write(f"{found}: submitted to {submission.address}, {submission.status.lower()}\n")
            sys.stdout.write(f"follow it: sweeps logs --follow {found}\n")
        for text in cluster.follow_logs(job) if follows else ():
            write_plain(text)
    if follows and cluster.job_state(job).status != "SUCCEEDED":
        raise typer.Exit(int(cluster.exit_code(job)))
    if not follows and submission.status == "FAILED":
        terminal_error().write(cluster.read_logs(job))
        raise typer.Exit(int(cluster.exit_code(job)))


def _print_status(found: SweepStatus) -> None:
    from sweeps.remote.control import describe_life
    from sweeps.terminal import open_console
    from tracking.names import STATE_RUNNING

    console = open_console()
    state = found.phase or found.state
    life = f", {describe_life(found)}" if found.state == STATE_RUNNING else ""
    console.print(f"{found.sweep_id} ({found.project}): {state}{life}", soft_wrap=True)
    states = list(dict.fromkeys(state for arm in found.arms for state in arm.num_by_state))
    columns = ("arm", *(state.replace("_", " ") for state in states), "retrained", f"best {found.goal_metric}")
    rows = []
    for arm in found.arms:
        counts = (str(arm.num_by_state.get(state, 0)) for state in states)
        best = "" if arm.best_value is None else f"{arm.best_value:.4f}"
        rows.append((arm.arm, *counts, str(arm.num_retrained), best))
    console.print(build_table(columns, rows))
