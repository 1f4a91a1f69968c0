"""What the journal of a sweep that is resumed says it was begun with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.errors import BadUsage, SpecError
from sweeps.home import SweepFolder
from sweeps.running.replay import find_failed
from sweeps.running.same_sweep import check_same_spec
from sweeps.spec import SweepSpec, dump_spec, load_spec_text
from tracking.names import STAGE_CONFIRM
from tracking.recording.events import Event, SweepRecord, SweepStarted, TrialStarted


@dataclass(frozen=True)
class History:
    """What earlier drivers of a sweep found.

    Attributes:
        begun: What the first one did.
        last: What the one before did.
        has_retrained: Whether a configuration has been chosen and is, or was, trained again.
        again: Trials that failed and are to run again.
    """

    begun: SweepRecord
    last: SweepRecord
    has_retrained: bool
    again: frozenset[str] = frozenset()


def read_history(sweep_id: str, events: Sequence[Event], *, retry_failed: bool) -> History:
    """What a journal says of earlier drivers.

    Args:
        sweep_id: The sweep.
        events: Of its journal.
        retry_failed: Whether trials that failed are to run again.

    Raises:
        BadUsage: When it says nothing, since the lines that did are damaged; or no trial can run again.
    """
    whats = [event.what for event in events]
    records = [what.record for what in whats if isinstance(what, SweepStarted)]
    if not records:
        raise BadUsage(f"{sweep_id}: its journal does not say what it was begun with; start a new sweep")
    retrained = any(isinstance(what, TrialStarted) and what.record.stage == STAGE_CONFIRM for what in whats)
    again = find_failed(events) if retry_failed else frozenset()
    if retry_failed and not again:
        raise BadUsage(
            f"{sweep_id}: no trial can run again; none failed, or those that did are of arms whose best are chosen "
            "already. Leave --failed out to go on with the rest"
        )
    return History(records[0], records[-1], retrained, again)


def read_spec(folder: SweepFolder, history: History, overrides: Sequence[str]) -> SweepSpec:
    """What a sweep goes on with: what it was begun with, or a raised budget.

    Args:
        folder: The sweep's, whose resolved file may have been edited.
        history: What its journal says.
        overrides: Each `budget.key=value`.

    Raises:
        BadUsage: When anything else was changed, or the search has ended already.
        SpecError: When the file or an override is faulty.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not key.startswith("budget.") and key != "run_cap":
            raise BadUsage(
                f"--set {override}: a resume only raises budgets (--set budget.trials=40); start a new sweep"
            )
    begun = load_spec_text(history.last.resolved, folder.journal.name)
    text = history.last.resolved
    if folder.resolved_file.exists():
        text = folder.resolved_file.read_text("utf-8", errors="replace")
    try:
        spec = load_spec_text(text, folder.resolved_file.name, overrides)
    except SpecError as error:
        if overrides:
            raise
        remedy = f"delete {folder.resolved_file} to go on as it was begun"
        raise BadUsage(f"{history.begun.sweep_id}: what it was begun with was edited\n{error}\n{remedy}") from error
    check_same_spec(begun, spec, history.begun.sweep_id)
    if spec != begun and history.has_retrained:
        sweep_id = history.begun.sweep_id
        raise BadUsage(
            f"{sweep_id}: its search has ended and the best are retrained, so a greater budget would choose others; "
            f"start a new sweep that learns from it (`sweeps run FILE --set 'prior=[{sweep_id}]'`)"
        )
    return spec


def restore_files(folder: SweepFolder, history: History, spec: SweepSpec) -> None:
    """Writes the sweep's files that are gone, or whose budget was raised."""
    if not folder.sweep_file.exists():
        folder.sweep_file.write_text(history.begun.sweep_file, encoding="utf-8")
    begun = load_spec_text(history.last.resolved, folder.journal.name)
    folder.resolved_file.write_text(history.last.resolved if spec == begun else dump_spec(spec), encoding="utf-8")
