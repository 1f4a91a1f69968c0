import io
import re
import threading

import pytest

from sweeps.running import preparation as module
from sweeps.running.live import LineView, TableView
from sweeps.running.preparation import Preparation
from sweeps.terminal import PlainConsole


def test_what_came_of_a_step_is_told_with_its_seconds() -> None:
    said: list[str] = []
    with Preparation(said.append).step("starting Ray") as step:
        assert said == []
        step.result = "Ray started"
    assert [re.sub(r"\d+\.\d", "0.0", line) for line in said] == ["Ray started (0.0 s)"]


def test_a_step_without_a_result_and_one_that_fails_say_nothing() -> None:
    said: list[str] = []
    preparation = Preparation(said.append)
    with preparation.step("importing"):
        pass

    def fail() -> None:
        with preparation.step("loading") as step:
            step.result = "never told"
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail()
    assert (said, preparation.running) == ([], ())


def test_a_long_step_says_how_far_it_is_while_it_is_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    told, said = threading.Event(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    with Preparation(say).step("loading cifar10") as step:
        step.progress = "40 of 170 MB"
        assert told.wait(60)
    assert re.fullmatch(r"loading cifar10( \(40 of 170 MB\))? … \d+ s", said[0])


def test_steps_side_by_side_are_all_running() -> None:
    preparation = Preparation()
    with preparation.step("loading cifar10"), preparation.step("importing Ray"):
        assert [step.name for step in preparation.running] == ["loading cifar10", "importing Ray"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_steps_that_run() -> None:
    console = PlainConsole(Terminal(), width=100)
    view = TableView(console)
    with view.preparation.step("loading cifar10") as step:
        step.progress = "40 of 170 MB"
        with console.capture() as drawn:
            console.print(view._render())
    assert "loading cifar10 (40 of 170 MB) … 0 s" in drawn.get()


def test_lines_say_what_came_of_each_step() -> None:
    file = io.StringIO()
    view = LineView(PlainConsole(file, width=100))
    view.preparation.say("NOT CIFAR-10")
    with view.preparation.step("starting Ray") as step:
        step.result = "Ray started: 2 trials at a time"
    assert re.fullmatch(r"NOT CIFAR-10\nRay started: 2 trials at a time \(\d+\.\d s\)\n", file.getvalue())
