"""Sweeps from Python: in a script, or in a notebook, where they show how far they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage, NothingSucceeded
from sweeps.home import Home, open_home
from sweeps.library_output import library_output_in_file
from sweeps.spec import SweepSpec, load_spec, load_spec_text

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.driver.outcome import SweepOutcome
    from sweeps.plan.plan import Plan
    from sweeps.running.live import View
    from tracking.table import SweepTable

SweepFile = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A sweep that has been run, or a part of it; a notebook shows it as its verdict and its leaderboard.

    Attributes:
        sweep_id: Its id, as the commands take it.
        table: All that was recorded of it.
        home: Where its results are.
        problem: One sentence on what kept it from ending in order; "" for nothing.
    """

    sweep_id: str
    table: SweepTable = field(repr=False)
    home: Home = field(repr=False)
    problem: str = ""

    @property
    def state(self) -> str:
        """How it ended, or that it runs."""
        return self.table.state

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.home.folder(self.sweep_id).path

    @property
    def report(self) -> Path:
        """Its report, where it has been written."""
        return self.home.folder(self.sweep_id).report

    @cached_property
    def verdict(self) -> str:
        """Who is better, by how much and with what confidence; or why that cannot be said."""
        from tracking.analysis.findings import build_headline, build_verdict
        from tracking.analysis.leaderboard import build_leaderboard

        rows = build_leaderboard(self.table)
        return f"{build_headline(self.table, rows)}. {build_verdict(self.table, rows)}".strip()

    def leaderboard(self) -> pd.DataFrame:
        """A row per arm, best first, in words as the report has them."""
        import pandas as pd

        from tracking.analysis.leaderboard import build_leaderboard, format_cells

        header, cells = format_cells(build_leaderboard(self.table))
        return pd.DataFrame(list(cells), columns=list(header)).set_index("arm")

    def to_pandas(self, *, epochs: bool = False) -> pd.DataFrame:
        """A row per trial, or per epoch of each trial, with settings, state and results (`sweeps export`).

        Args:
            epochs: A row per epoch in the place of a row per trial.
        """
        import pandas as pd

        from tracking.analysis.rows import build_epoch_rows, build_trial_rows

        return pd.DataFrame(build_epoch_rows(self.table) if epochs else build_trial_rows(self.table))

    def _repr_html_(self) -> str:
        problem = f"<p><b>{escape(self.problem)}</b></p>" if self.problem else ""
        return f"<p>{escape(self.verdict)}</p>{problem}{self.leaderboard().to_html()}<p>{escape(self.sweep_id)}</p>"


def run_sweep(
    sweep: SweepFile,
    overrides: Sequence[str] = (),
    *,
    results: str | Path | None = None,
    progress: bool = True,
    measure: bool = False,
) -> Sweep:
    """Runs a sweep and writes its report, as `sweeps run`.

    Ctrl+C, or a notebook's stop button, ends it in order: its runs are closed, its state is "interrupted", and
    `resume_sweep` goes on.

    Args:
        sweep: A sweep file, or what would stand in one as dicts and lists.
        overrides: Each `key.path=value`, laid over it.
        results: The results folder; `SWEEPS_HOME` or `sweep-results` when left out.
        progress: Whether to show how far it is: in place in a notebook and on a terminal, else line by line.
        measure: Whether to train a few steps first, so that the report says how long it was expected to take.

    Raises:
        SpecError: With every fault of the sweep.
        BadUsage: When the data set, the storage or the resources do not allow it.
        Unreachable: When Ray or MLflow does not answer.
        NothingSucceeded: When nothing of it can be read.
    """
    spec, text = _load(sweep, overrides)
    home = _open(results)

    def run(view: View | None) -> SweepOutcome:
        from sweeps.driver.driver import run_sweep as drive
        from sweeps.plan.words import introduce

        if view:
            view.preparation.say(introduce(spec))
        return drive(spec, home, sweep_file=text, measure=measure, **_show_on(view))

    return _show(run, home, progress=progress)


def resume_sweep(
    sweep_id: str, *, retry_failed: bool = False, results: str | Path | None = None, progress: bool = True
) -> Sweep:
    """Goes on with a sweep that was interrupted, stopped or cut off, as `sweeps resume`.

    Args:
        sweep_id: The sweep.
        retry_failed: Whether trials that failed run again.
        results: As in `run_sweep`.
        progress: As in `run_sweep`.

    Raises:
        BadUsage: When there is nothing to resume, or what changes its results has changed.
        Unreachable: When Ray or MLflow does not answer.
        NothingSucceeded: When nothing of it can be read.
    """
    home = _open(results)

    def run(view: View | None) -> SweepOutcome:
        from sweeps.driver.driver import resume_sweep as drive

        return drive(sweep_id, home, retry_failed=retry_failed, **_show_on(view))

    return _show(run, home, progress=progress)


def load_sweep(sweep_id: str | None = None, *, results: str | Path | None = None) -> Sweep:
    """A sweep as it was recorded, also while it runs.

    Args:
        sweep_id: Its id or the beginning of it; the latest sweep when left out.
        results: As in `run_sweep`.

    Raises:
        BadUsage: When there is no such sweep.
        SweepNotFound: When MLflow does not hold it.
        TrackingUnavailable: When MLflow cannot be read.
    """
    from sweeps.remote.loading import load_recorded

    with library_output_in_file():
        recorded = load_recorded(sweep_id, _open(results))
    return Sweep(recorded.sweep_id, recorded.table, recorded.home)


def plan_sweep(
    sweep: SweepFile, overrides: Sequence[str] = (), *, results: str | Path | None = None, measure: bool = True
) -> Plan:
    """What a sweep would come to, before it starts: trials, epochs, time, memory and disk, as `sweeps plan`.

    Args:
        sweep: As in `run_sweep`.
        overrides: As in `run_sweep`.
        results: As in `run_sweep`.
        measure: Whether to train a few steps of each kind of trial, or to leave the times out.

    Raises:
        SpecError: With every fault of the sweep.
        BadUsage: When the data set, the storage or the resources do not allow it.
        Unreachable: When Ray or MLflow does not answer.
    """
    spec, _ = _load(sweep, overrides)
    with library_output_in_file():
        from sweeps.driver.driver import plan_sweep as build_plan

        return build_plan(spec, _open(results), measure=measure)


def write_report(sweep: Sweep, path: str | Path | None = None) -> Path:
    """Writes a sweep's report; returns where it is.

    Args:
        sweep: From `run_sweep` or `load_sweep`.
        path: The page; in the sweep's folder when left out.
    """
    from tracking.report.write import write_report as write

    target = Path(path) if path is not None else sweep.report
    target.parent.mkdir(parents=True, exist_ok=True)
    write(sweep.table, target)
    return target


def _open(results: str | Path | None) -> Home:
    return open_home() if results is None else Home(Path(results).absolute())


def _load(sweep: SweepFile, overrides: Sequence[str]) -> tuple[SweepSpec, str]:
    """A sweep and the text of its file; of dicts, the YAML that they would be."""
    if isinstance(sweep, Mapping):
        from sweeps.reader.text import write_text

        text = write_text(_to_plain(sweep, "sweep"))
        return load_spec_text(text, "sweep", overrides), text
    return load_spec(sweep, overrides), Path(sweep).read_text("utf-8")


def _to_plain(value: Any, place: str) -> Any:
    """What YAML can say: mappings, lists, texts, numbers, true, false and null.

    Raises:
        BadUsage: There is something else in it.
    """
    if isinstance(value, Mapping):
        return {str(key): _to_plain(each, f"{place}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(each, f"{place}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise BadUsage(f"{place}: found {value!r}, a {type(value).__name__}; write a plain number, text, list or dict")


def _build_view() -> View:
    from sweeps.running.live import build_view
    from sweeps.running.notebook import NotebookView, is_notebook
    from sweeps.terminal import open_console

    return NotebookView() if is_notebook() else build_view(open_console(stderr=True))


def _show_on(view: View | None) -> dict[str, Any]:
    """The arguments by which the driver tells a view how far it is."""
    return {"listeners": [view], "preparation": view.preparation} if view else {}


def _show(run: Callable[[View | None], SweepOutcome], home: Home, *, progress: bool) -> Sweep:
    """Runs a sweep before the user's eyes, what libraries print aside."""
    with library_output_in_file():
        shown: AbstractContextManager[View | None] = _build_view() if progress else nullcontext()
        with shown as view:
            outcome = run(view)
    if outcome.table is None:
        raise NothingSucceeded(f"{outcome.sweep_id}: {outcome.problem or 'nothing of it could be read'}")
    return Sweep(outcome.sweep_id, outcome.table, home, outcome.problem)
