import io
import json
import math
from pathlib import Path
from typing import Any, cast

import pytest

from sweeps.home import SweepFolder
from sweeps.running.live import (
    EventView,
    LineView,
    TableView,
    TimeLeft,
    build_status_table,
    build_view,
    describe_rungs,
    estimate_time_left,
    list_running,
)
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.space.distributions import Constant
from sweeps.spec import SweepSpec
from sweeps.stopping.asha import Asha
from sweeps.stopping.promotion import AshaPromotion
from sweeps.stopping.rules import ArmRules
from sweeps.terminal import PlainConsole
from sweeps.trials.ledger import Ledger, TrialEntry, TrialPhase
from tracking.analysis.labels import format_duration
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.ranking import Goal


class QuietRecorder:
    """What a view asks of a recorder."""

    problem: str | None = None
    pending = 0


@pytest.fixture
def sweep() -> RunningSweep:
    spec = SweepSpec(name="s", compare="optimizer", parameters={"epochs": Constant(value=4)})
    ledger = Ledger(Goal.MAXIMIZE, ("sgd", "adam"))
    sweep = RunningSweep(
        "s-1",
        spec,
        ledger,
        ArmRules(ledger.arms, None, 4),
        cast("Any", QuietRecorder()),
        SweepFolder(Path("s-1")),
        {"sgd": 3, "adam": 3},
    )
    for number, (state, epochs, score) in enumerate(
        [(TrialState.COMPLETED, 4, 0.61), (TrialState.EARLY_STOPPED, 1, 0.3), (None, 2, 0.5)]
    ):
        add_trial(sweep, "sgd", number, state, epochs, score)
    add_trial(sweep, "adam", 0, TrialState.DIVERGED, 1, math.nan)
    add_trial(sweep, "adam", 1, TrialState.FAILED, 0, math.nan)
    return sweep


def add_trial(sweep: RunningSweep, arm: str, number: int, state: TrialState | None, epochs: int, score: float) -> None:
    trial_id = f"{arm}-{number:03d}"
    sweep.ledger.add(TrialEntry(trial_id, arm, STAGE_SEARCH, number, number, {}))
    for epoch in range(1, epochs + 1):
        sweep.ledger.record_epoch(trial_id, epoch, score, 10.0)
    if state is not None:
        sweep.ledger.end(trial_id, state, "why it ended")


def render(renderable: object) -> str:
    console = PlainConsole(io.StringIO(), width=160)
    console.print(renderable)
    return cast("io.StringIO", console.file).getvalue()


def test_the_table_counts_every_state_per_arm(sweep: RunningSweep) -> None:
    sgd, adam = (
        next(line for line in render(build_status_table(sweep)).splitlines() if line.startswith(arm))
        for arm in ("sgd", "adam")
    )
    assert sgd.split()[:7] == ["sgd", "3/3", "1", "1", "1", "0", "0"]
    assert adam.split()[:7] == ["adam", "2/3", "0", "0", "0", "1", "1"]
    assert "0.6100 000" in sgd


def test_the_table_fits_into_80_columns_whole(sweep: RunningSweep) -> None:
    sweep.spec = sweep.spec.model_copy(update={"early_terminate": AshaPromotion(type="asha_promotion")})
    ledger = Ledger(Goal.MAXIMIZE, ("nesterov", "momentum"))
    sweep.ledger, sweep.num_trials = ledger, {"nesterov": 100, "momentum": 100}
    for number in range(100):
        add_trial(sweep, "momentum", number, TrialState.COMPLETED, 1, 0.5)
    ledger.add(TrialEntry("momentum-confirm-00", "momentum", STAGE_CONFIRM, 0, 1, {}))
    ledger.record_epoch("momentum-confirm-00", 1, 0.6, 1.0)
    console = PlainConsole(io.StringIO(), width=80)
    console.print(build_status_table(sweep))
    shown = cast("io.StringIO", console.file).getvalue()
    assert "…" not in shown
    assert "0.6000 confirm-00" in shown


def test_lines_say_how_each_trial_ended_and_when_mlflow_goes_and_comes(sweep: RunningSweep) -> None:
    console = PlainConsole(io.StringIO(), width=160)
    view = LineView(console)
    view(sweep, sweep.ledger.entries["sgd-001"], TrialEvent.ENDED)
    view(sweep, sweep.ledger.entries["sgd-002"], TrialEvent.EPOCH)  # worth no line
    recorder = cast("QuietRecorder", sweep.recorder)
    for recorder.problem in ("server away", "server away: 2 events wait", "server away: 3 events wait"):
        view(sweep, None, TrialEvent.STEP)
        view(sweep, None, TrialEvent.STEP)
    recorder.problem = None
    view(sweep, None, TrialEvent.STEP)
    lines = cast("io.StringIO", console.file).getvalue().splitlines()
    assert len(lines) == 4
    assert "stopped early" in lines[0]
    assert "sgd-001" in lines[0]
    assert "why it ended" in lines[0]
    away = ["MLflow: server away", "MLflow: server away: 2 events wait"]  # each once, whatever the numbers
    assert lines[1:] == [*away, "MLflow: reached again"]


def test_what_stands_beside_long_names_stands_in_line(sweep: RunningSweep) -> None:
    names = ("mine:Short", "mine:OfAVeryLongName")
    sweep.ledger = Ledger(Goal.MAXIMIZE, names)
    for name in names:
        add_trial(sweep, name, 0, None, 1, 0.5)
    first, second = (line.plain for line in list_running(sweep))
    assert first.index("epoch") == second.index("epoch")


def test_events_are_objects_that_other_programs_read(sweep: RunningSweep) -> None:
    file = io.StringIO()
    with EventView(PlainConsole(file, is_text=True)) as view:
        view.preparation.say("loading synthetic")
        view(sweep, sweep.ledger.entries["sgd-002"], TrialEvent.STARTED)
        view(sweep, sweep.ledger.entries["sgd-002"], TrialEvent.EPOCH)
        cast("QuietRecorder", sweep.recorder).problem = "server away"
        view(sweep, sweep.ledger.entries["adam-000"], TrialEvent.ENDED)
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    of_sgd, of_adam = ({"trial": each, "arm": each[:-4], "stage": "search"} for each in ("sgd-002", "adam-000"))
    assert events == [
        {"event": "message", "text": "loading synthetic"},
        {"event": "sweep", "sweep_id": "s-1", "state": "running"},
        {"event": "started", **of_sgd, "parameters": {}},
        {"event": "epoch", **of_sgd, "epoch": 2, "val_accuracy": 0.5},
        {"event": "ended", **of_adam, "state": "diverged", "epoch": 1, "best": None, "reason": "why it ended"},
        {"event": "message", "text": "MLflow: server away"},
    ]


def test_a_sweep_that_is_held_says_so_once_and_again_when_it_goes_on(sweep: RunningSweep) -> None:
    console = PlainConsole(io.StringIO(), width=160)
    view, table = LineView(console), TableView(PlainConsole(Terminal(), width=160))
    recorder = cast("QuietRecorder", sweep.recorder)
    for sweep.held in ("", "the disk is full", "the disk is full; 3 events wait"):
        recorder.problem = "no room for the journal" if sweep.held else None
        view(sweep, None, TrialEvent.STEP)
    table(sweep, None, TrialEvent.STEP)
    assert "the disk is full; 3 events wait" in render(table._render())
    assert "no room for the journal" not in render(table._render())
    sweep.held, recorder.problem = "", None
    view(sweep, None, TrialEvent.STEP)
    lines = cast("io.StringIO", console.file).getvalue().splitlines()
    assert lines == ["the disk is full", "there is room on the disk again: the sweep goes on"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_view_fits_where_it_is_shown() -> None:
    assert isinstance(build_view(PlainConsole(io.StringIO())), LineView)
    assert isinstance(build_view(PlainConsole(Terminal())), TableView)


def test_the_terminal_view_shows_time_left_and_problems(sweep: RunningSweep) -> None:
    view = TableView(PlainConsole(Terminal(), width=160))
    assert "preparing" in render(view._render())
    cast("QuietRecorder", sweep.recorder).problem = "server away"
    view(sweep, sweep.ledger.entries["sgd-000"], TrialEvent.ENDED)
    shown = render(view._render())
    assert "time left about" in shown
    assert "server away" in shown
    assert "sgd-000" in shown


def test_time_left_counts_search_and_retraining(sweep: RunningSweep) -> None:
    # ended search trials took 40, 10, 10 and 0 s: the failed one has no epoch and is left out, so 20 s on average;
    # open: 1 running of sgd (20 s spent), 1 more of adam; retraining: 2 arms x 1 x 4 epochs of 10 s
    left = estimate_time_left(sweep.ledger, sweep.num_trials, 1, slots=2)
    assert left is not None
    assert left.seconds == pytest.approx((0 + 20 + 2 * 40) / 2)
    # open are 2 trials; one of 40, 10 and 10 s is 17.3 s from the mean
    assert left.error == pytest.approx(2 * math.sqrt(300) * math.sqrt(2**2 / 3 + 2) / 2)
    assert str(left) == "time left about 50 s (18 s to 1 min 22 s)"


def test_the_error_of_the_time_left_is_said_where_there_is_one() -> None:
    assert str(TimeLeft(600.0, 120.0)) == "time left about 10 min 00 s (8 min 00 s to 12 min 00 s)"
    assert str(TimeLeft(600.0, 0.1)) == "time left about 10 min 00 s"
    assert str(TimeLeft(50.0, 90.0)) == f"time left about 50 s ({format_duration(0.0)} to 2 min 20 s)"


def test_retraining_already_done_is_not_counted_again(sweep: RunningSweep) -> None:
    before = estimate_time_left(sweep.ledger, sweep.num_trials, 1, slots=1)
    sweep.ledger.add(TrialEntry("sgd-confirm-00", "sgd", STAGE_CONFIRM, 0, 1, {}))
    for epoch in range(1, 5):
        sweep.ledger.record_epoch("sgd-confirm-00", epoch, 0.6, 10.0)
    sweep.ledger.end("sgd-confirm-00", TrialState.COMPLETED, "epochs")
    after = estimate_time_left(sweep.ledger, sweep.num_trials, 1, slots=1)
    assert before is not None
    assert after is not None
    assert after.seconds == pytest.approx(before.seconds - 40)


def test_time_left_is_unknown_before_the_first_trial_and_without_a_limit(sweep: RunningSweep) -> None:
    assert estimate_time_left(Ledger(Goal.MAXIMIZE, ("sgd",)), {"sgd": 3}, 1, slots=2) is None
    assert estimate_time_left(sweep.ledger, {"sgd": None, "adam": None}, 1, slots=2) is None


def test_rungs_are_told_with_how_many_trials_came_to_them(sweep: RunningSweep) -> None:
    assert describe_rungs(sweep) == ""
    sweep.spec = sweep.spec.model_copy(update={"early_terminate": Asha(min_iter=1, eta=2)})
    assert describe_rungs(sweep) == "came to epoch 1/2: sgd 3/2, adam 1/0"
    view = TableView(PlainConsole(io.StringIO()))
    view(sweep, None, TrialEvent.EPOCH)
    assert "came to epoch 1/2" in render(view._render())


def test_each_reason_of_failures_is_shown_once_with_its_number(sweep: RunningSweep) -> None:
    view = TableView(PlainConsole(io.StringIO()))
    for number in (3, 4):
        add_trial(sweep, "sgd", number, TrialState.FAILED, 0, math.nan)
        view(sweep, sweep.ledger.entries[f"sgd-{number:03d}"], TrialEvent.ENDED)
    lines = render(view._render()).splitlines()
    assert [line.strip() for line in lines if "why it ended" in line] == ["failed 3 × why it ended"]


def test_what_others_wrote_is_shown_as_it_is(sweep: RunningSweep) -> None:
    arm, reason = "mine:[/x]", "ValueError: [/red] :smile: [bold]50%[/bold] \x1b[2Jgone"
    ledger = Ledger(Goal.MAXIMIZE, (arm,))
    sweep.ledger, sweep.num_trials = ledger, {arm: 1}
    ledger.add(TrialEntry("mine_x-000", arm, STAGE_SEARCH, 0, 0, {}))
    ledger.entries["mine_x-000"].phase = TrialPhase.RUNNING
    ledger.end("mine_x-000", TrialState.FAILED, reason)
    cast("QuietRecorder", sweep.recorder).problem = "[/away]"
    console = PlainConsole(io.StringIO(), width=160)

    LineView(console)(sweep, ledger.entries["mine_x-000"], TrialEvent.ENDED)
    shown = cast("io.StringIO", console.file).getvalue() + render(build_status_table(sweep))

    assert "ValueError: [/red] :smile: [bold]50%[/bold] ␛[2Jgone" in shown
    assert "MLflow: [/away]" in shown
    assert arm in shown.splitlines()[-1]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_a_resumed_sweep_found_is_said_once(sweep: RunningSweep, is_terminal: bool) -> None:
    sweep.found = "found: 3 trials have ended; MLflow has all events"
    shown = io.StringIO()
    view = build_view(PlainConsole(shown, width=100, is_text=not is_terminal))
    if is_terminal:
        view = TableView(view.console)  # type: ignore[attr-defined]
    for _ in range(3):
        view(sweep, None, TrialEvent.STEP)
    if isinstance(view, TableView):
        view.console.print(view._render())
    assert shown.getvalue().count(sweep.found) == 1


def test_running_trials_are_listed_and_the_best_so_far_is_a_line_of_bars(sweep: RunningSweep) -> None:
    for number, score in enumerate((0.1, 0.3, 0.2, 0.5)):
        add_trial(sweep, "adam", 20 + number, TrialState.COMPLETED, 3, score)
    for number in range(8):
        add_trial(sweep, "adam", 30 + number, None, 2, 0.25)
    lines = [str(line) for line in list_running(sweep)]
    running = len(sweep.ledger.active)
    assert len(lines) == 7
    assert lines[-1].split() == ["and", str(running - 6), "more"]
    assert any("epoch   2 of" in line and line.endswith("val_accuracy 0.2500") for line in lines)
    row = next(line for line in render(build_status_table(sweep)).splitlines() if line.startswith("adam"))
    assert "█" in row


def test_the_table_fits_into_80_columns(sweep: RunningSweep) -> None:
    for number in range(20):
        add_trial(sweep, "adam", 20 + number, TrialState.COMPLETED, 3, 0.1 + number / 50)
    output = io.StringIO()
    PlainConsole(output, width=80, is_text=True).print(build_status_table(sweep))
    assert "…" not in output.getvalue()
    assert "0.4800 039" in output.getvalue()
