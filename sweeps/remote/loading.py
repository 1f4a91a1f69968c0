"""A sweep as it was recorded: what everything that reads an ended one begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.home import Home, SweepFolder, open_home

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from tracking.table import SweepTable, TrialRow

MAX_NAMED = 12  # trials in the message on one that there is not


@dataclass(frozen=True)
class Recorded:
    """A sweep as MLflow has it.

    Attributes:
        folder: Of its files here, which need not exist.
        num_delivered: Events of its journal that MLflow had not got, and has now.
    """

    sweep_id: str
    home: Home
    folder: SweepFolder
    table: SweepTable
    num_delivered: int


def load_recorded(sweep_id: str | None, home: Home | None = None) -> Recorded:
    """Everything recorded of a sweep, after what waits in its journal was delivered.

    Args:
        sweep_id: Its id or the beginning of it; None for the latest.
        home: Where its results are; the results folder of this process when left out.

    Raises:
        BadUsage: When there is no such sweep.
        SweepNotFound: When MLflow does not hold it.
        TrackingUnavailable: When MLflow cannot be read.
    """
    from sweeps.remote.control import find_sweep
    from tracking.recording.recorder import deliver_journal
    from tracking.store.queries import load_sweep

    home = home or open_home()
    found = find_sweep(home, sweep_id)
    folder = home.folder(found)
    num_delivered = deliver_journal(home.tracking_uri, folder.journal)
    return Recorded(found, home, folder, load_sweep(found, home.tracking_uri, folder.path), num_delivered)


def load_resolved_spec(recorded: Recorded) -> SweepSpec:
    """What a sweep ran as, overrides and defaults included.

    Raises:
        BadUsage: When its resolved file can be had neither here nor from MLflow, is damaged, or names
            code of the user's that cannot be imported here.
    """
    from sweeps.errors import BadUsage, SpecError
    from sweeps.spec import load_recorded_text
    from tracking.names import RESOLVED_ARTIFACT
    from tracking.store.queries import load_text

    text, problem = load_text(recorded.sweep_id, recorded.home.tracking_uri, RESOLVED_ARTIFACT, recorded.folder.path)
    if problem:
        raise BadUsage(f"{recorded.sweep_id}: {problem}")
    try:
        return load_recorded_text(text, RESOLVED_ARTIFACT)
    except SpecError as error:
        raise BadUsage(
            f"{recorded.sweep_id}: the file that says what it ran as cannot be read here\n{error}"
        ) from error


def find_trial(table: SweepTable, trial_id: str) -> TrialRow:
    """The trial of that id.

    Raises:
        BadUsage: There is none, with those that there are.
    """
    from sweeps.errors import BadUsage

    found = next((each for each in table.trials if each.trial_id == trial_id), None)
    if found is None:
        known = [each.trial_id for each in table.trials]
        more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
        has = f"it has {', '.join(known[:MAX_NAMED])}{more}" if known else "none is recorded of it yet"
        raise BadUsage(f"{table.sweep_id} has no trial {trial_id}; {has}")
    return found
