"""What the journal of a sweep that is resumed says it was begun with."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweeps.errors import BadUsage, SpecError
from sweeps.home import SweepFolder
from sweeps.running.extension import check_extension
from sweeps.running.replay import find_failed
from sweeps.running.same_sweep import check_same_spec, list_changes
from sweeps.spec import SweepSpec, dump_spec, load_recorded_text
from sweeps.trials.confirm import Confirm
from tracking.files import write_file
from tracking.names import STAGE_SEARCH, SweepState
from tracking.recording.events import Event, SweepEnded, SweepRecord, SweepStarted, TrialStarted
from tracking.statistics.levels import DEFAULT_SEEDS, MIN_VERDICT_SEEDS


@dataclass(frozen=True)
class Driver:
    """What one driver of a sweep was to do.

    Attributes:
        confirm: How it was to confirm the best.
        extends: Whether it made the search larger, after that had ended.
    """

    confirm: Confirm
    extends: bool = False


@dataclass(frozen=True)
class History:
    """What earlier drivers of a sweep found.

    Attributes:
        begun: What the first one did.
        last: What the one before did.
        has_retrained: Whether a configuration has been chosen and is, or was, trained again.
        again: Trials that failed and are to run again.
        drivers: What each of them was to do, in order.
        is_completed: Whether the last one came to the end of the sweep.
        num_tried: Search trials that each arm has had.
        extended: How the search is made larger now, each a sentence; nothing where it is not.
    """

    begun: SweepRecord
    last: SweepRecord
    has_retrained: bool
    again: frozenset[str] = frozenset()
    drivers: tuple[Driver, ...] = ()
    is_completed: bool = False
    num_tried: Mapping[str, int] = field(default_factory=dict)
    extended: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoreRetrainings:
    """What `sweeps confirm` asks for.

    Attributes:
        seeds: Seeds of each configuration in all; None for as many as the sweep has, and 10 at least.
        top: Configurations of each arm in all; None for as many as the sweep has, and 1 at least.
    """

    seeds: int | None = None
    top: int | None = None


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
    retrained = any(isinstance(what, TrialStarted) and what.record.stage != STAGE_SEARCH for what in whats)
    again = find_failed(events) if retry_failed else frozenset()
    if retry_failed and not again:
        raise BadUsage(
            f"{sweep_id}: no trial can run again; none failed, or those that did are of arms whose best are chosen "
            "already. Leave --failed out to go on with the rest"
        )
    ends = [what for what in whats if isinstance(what, SweepStarted | SweepEnded)]
    is_completed = isinstance(ends[-1], SweepEnded) and ends[-1].state is SweepState.COMPLETED
    tried = {what.record.trial_id: what.record for what in whats if isinstance(what, TrialStarted)}
    num_tried = Counter(record.arm for record in tried.values() if record.stage == STAGE_SEARCH)
    drivers = tuple(map(_read_driver, records))
    return History(records[0], records[-1], retrained, again, drivers, is_completed, num_tried)


def _read_driver(record: SweepRecord) -> Driver:
    extended = record.manifest.get("drivers", ({},))[-1].get("extended")
    return Driver(load_recorded_text(record.resolved, "the journal").confirm, bool(extended))


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
    begun = load_recorded_text(history.last.resolved, folder.journal.name)
    text = history.last.resolved
    if folder.resolved_file.exists():
        text = folder.resolved_file.read_text("utf-8", errors="replace")
    try:
        spec = load_recorded_text(text, folder.resolved_file.name, overrides)
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
            f"if that is wanted, extend it: sweeps run --extend {sweep_id} "
            + " ".join(f"--set {shlex.quote(each)}" for each in overrides)
        )
    return spec


def extend(folder: SweepFolder, history: History, overrides: Sequence[str]) -> tuple[SweepSpec, History]:
    """What a sweep goes on with that gets a larger search; trials and retrainings stay.

    Args:
        folder: The sweep's.
        history: What its journal says.
        overrides: Each `key.path=value`, laid over what it was until now.

    Returns:
        The larger sweep, and the history that says how.

    Raises:
        BadUsage: When anything but budgets, ranges and lists would change, or nothing would be tried.
        SpecError: When an override is faulty.
    """
    text = history.last.resolved
    begun = load_recorded_text(text, folder.journal.name)
    spec = load_recorded_text(text, folder.resolved_file.name, overrides)
    check_extension(begun, spec, history.begun.sweep_id, history.num_tried)
    return spec, replace(history, extended=tuple(list_changes(begun, spec)))


def add_retrainings(spec: SweepSpec, more: MoreRetrainings, history: History) -> SweepSpec:
    """The spec with more configurations or seeds to retrain; those that there are stay, and are not repeated.

    Without a number it is the one that the sweep has; one that confirms nothing, or with fewer seeds, gets 10 seeds of
    the best (protocol, rule 8).

    Args:
        spec: What the sweep goes on with.
        more: What is asked for.
        history: What its journal says.

    Raises:
        BadUsage: There would be less than there is, or nothing to add to a sweep that has ended.
        SpecError: A sweep file could not ask for that.
    """
    sweep_id, confirm = history.begun.sweep_id, spec.confirm
    top = more.top or confirm.top or 1
    seeds = more.seeds or (max(confirm.seeds, DEFAULT_SEEDS) if more.top is None else confirm.seeds)
    for name, now, before in (("--top", top, confirm.top), ("--seeds", seeds, confirm.seeds if confirm.top else 0)):
        if now < before:
            raise BadUsage(
                f"{sweep_id}: {name} {now} is less than it has ({before}); what is retrained stays. Give more"
            )
    if history.is_completed and (top, seeds) == (confirm.top, confirm.seeds):
        raise BadUsage(
            f"{sweep_id}: it has the best {top} of each arm with {seeds} seeds already; ask for more, "
            f"for example `sweeps confirm {sweep_id} --seeds {2 * seeds}`"
        )
    return load_recorded_text(dump_spec(spec), "sweeps confirm", (f"confirm.top={top}", f"confirm.seeds={seeds}"))


def count_extensions(drivers: Iterable[Driver]) -> int:
    """How often a sweep went on after a verdict could have been seen: each time costs a share of the error.

    Args:
        drivers: What each driver of the sweep was to do, in order. Seeds that are added are another look at the same
            arms; a larger search is one at others, which may win in their place.
    """
    count, before = 0, 0
    for driver in drivers:
        num_seeds = driver.confirm.seeds if driver.confirm.top else 0
        count += before >= MIN_VERDICT_SEEDS and (num_seeds > before or driver.extends)
        before = max(before, num_seeds)
    return count


def describe_confirmation(spec: SweepSpec, history: History | None) -> str:
    """How the best are confirmed, for those who read the result: JSON."""
    earlier, extends = (history.drivers, bool(history.extended)) if history else ((), False)
    return json.dumps(
        {
            **spec.confirm.model_dump(mode="json", exclude_none=True),
            "extensions": count_extensions((*earlier, Driver(spec.confirm, extends))),
        }
    )


def restore_files(folder: SweepFolder, history: History, spec: SweepSpec) -> None:
    """Writes the sweep's files that are gone, or whose budget was raised."""
    if not folder.sweep_file.exists():
        write_file(folder.sweep_file, history.begun.sweep_file)
    begun = load_recorded_text(history.last.resolved, folder.journal.name)
    write_file(folder.resolved_file, history.last.resolved if spec == begun else dump_spec(spec))
