"""Where a sweep keeps its files."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sweeps.errors import BadUsage
from tracking.names import is_sweep_id

JOB_VARIABLE = "SWEEPS_JOB"  # in the environment of a submitted sweep's driver: its submission id
_PART = re.compile(r"_\d{3,}$")  # of the name of Tune's folder of a trial that has gone on after a pause


@dataclass(frozen=True)
class Home:
    """The results folder: `SWEEPS_HOME`, or `sweep-results` in the working directory."""

    path: Path

    @property
    def tracking_uri(self) -> str:
        """`MLFLOW_TRACKING_URI`, or SQLite in this folder."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.path / 'mlflow.db'}"

    @property
    def has_tracking(self) -> bool:
        """Whether there is an MLflow store to read: reading would otherwise create an empty one."""
        return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (self.path / "mlflow.db").exists()

    @property
    def has_remote_tracking(self) -> bool:
        """Whether MLflow may hold sweeps that have no folder here."""
        return bool(os.environ.get("MLFLOW_TRACKING_URI"))

    @property
    def artifact_root(self) -> Path | None:
        """Where MLflow keeps artifacts; None when `MLFLOW_TRACKING_URI` names a store that has its own place."""
        return None if os.environ.get("MLFLOW_TRACKING_URI") else self.path / "artifacts"

    def folder(self, sweep_id: str) -> SweepFolder:
        """The folder of one sweep, which need not exist yet.

        Raises:
            BadUsage: What is given is not the id of a sweep.
        """
        if not is_sweep_id(sweep_id):
            raise BadUsage(f"found {sweep_id!r}; the id of a sweep has letters, digits, dots, hyphens and underscores")
        return SweepFolder(self.path / sweep_id)

    def create_folder(self, slug: str) -> SweepFolder:
        """Creates the folder of a new sweep, which has its id to itself here.

        Args:
            slug: Begins the id.
        """
        while True:
            folder = self.folder(build_sweep_id(slug))
            try:
                folder.path.mkdir(parents=True)
            except FileExistsError:  # of a sweep of the same name, begun in the same second
                continue
            return folder

    def sweep_ids(self) -> list[str]:
        """Sweeps that have a folder here, latest first."""
        if not self.path.is_dir():
            return []
        begun: dict[str, float] = {}  # by the file that changes least of those that there are
        for file in (*self.path.glob("*/journal.jsonl"), *self.path.glob("*/resolved.yaml")):
            begun[file.parent.name] = file.stat().st_mtime
        return sorted(begun, key=lambda sweep_id: begun[sweep_id], reverse=True)


@dataclass(frozen=True)
class SweepFolder:
    """The files of one sweep."""

    path: Path

    @property
    def sweep_file(self) -> Path:
        """The sweep file as the user wrote it."""
        return self.path / "sweep.yaml"

    @property
    def resolved_file(self) -> Path:
        """What ran: overrides applied, defaults filled in."""
        return self.path / "resolved.yaml"

    @property
    def manifest(self) -> Path:
        """Versions, hardware, digests."""
        return self.path / "manifest.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def markdown_report(self) -> Path:
        """The report as Markdown, where it was asked for; its figures are in `figures` beside it."""
        return self.path / "report.md"

    @property
    def trials(self) -> Path:
        """One line per trial."""
        return self.path / "trials.csv"

    @property
    def prior(self) -> Path:
        """The trials of earlier sweeps that it learns from."""
        return self.path / "prior.json"

    @property
    def journal(self) -> Path:
        """Every event for MLflow, written before it is sent."""
        return self.path / "journal.jsonl"

    @property
    def has_begun(self) -> bool:
        """Whether anything was recorded; the journal of a sweep that ended before that is empty, if there is one."""
        is_recorded = self.journal.exists() and self.journal.stat().st_size > 0
        return is_recorded or self.journal.with_name(f"{self.journal.name}.delivered").exists()  # it was emptied

    @property
    def ray(self) -> Path:
        """Tune's folders, one for each time that the sweep's driver was started, with the trials' checkpoints."""
        return self.path / "ray"

    def checkpoints(self, trial_id: str) -> tuple[Path, ...]:
        """Folders with a checkpoint of a trial, the latest first, whichever driver it ran under."""
        return tuple(folder for folder in self._list_checkpoints(trial_id) if any(folder.glob("*.pt")))

    def trials_with_checkpoints(self) -> set[str]:
        """Ids of the trials of which there is a checkpoint, or a part of one."""
        return {_PART.sub("", folder.parent.name) for folder in self.ray.glob("*/*/checkpoint_*")}

    def drop_checkpoints(self, trial_id: str, num_kept: int = 0) -> None:
        """Deletes a trial's checkpoints, but the latest ones that are whole.

        Args:
            trial_id: Whose.
            num_kept: How many stay.

        Raises:
            OSError: One could not be deleted; the others are gone.
        """
        kept = self.checkpoints(trial_id)[:num_kept]
        _delete(folder for folder in self._list_checkpoints(trial_id) if folder not in kept)

    def drop_old_checkpoints(self, trial_id: str) -> None:
        """Deletes a trial's checkpoints from before its last pause, which the latest ones take the place of."""
        found = self.checkpoints(trial_id)
        for folder in found:
            if folder.parent != found[0].parent:
                shutil.rmtree(folder, ignore_errors=True)

    def _list_checkpoints(self, trial_id: str) -> list[Path]:
        """Folders of a trial's checkpoints, the latest first, also of those that were never written to their end."""
        found = (folder for name in (trial_id, f"{trial_id}_*") for folder in self.ray.glob(f"*/{name}/checkpoint_*"))
        return sorted({each for each in found if _PART.sub("", each.parent.name) == trial_id}, reverse=True)

    @property
    def logs(self) -> Path:
        """Tracebacks of failed trials, and what the driver said."""
        return self.path / "logs"

    def trial_log(self, trial_id: str) -> Path:
        """The traceback of a trial that failed."""
        return self.logs / f"{trial_id}.log"

    @property
    def driver_log(self) -> Path:
        """One line per trial that ended."""
        return self.logs / "driver.log"

    @property
    def libraries_log(self) -> Path:
        """What libraries printed and logged in the driver's process."""
        return self.logs / "driver-libraries.log"


def _delete(folders: Iterable[Path]) -> None:
    """Deletes folders; of those that cannot be, the first one's error is raised when the others are gone."""
    problem: OSError | None = None
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = problem or error
    if problem is not None:
        raise problem


def open_home() -> Home:
    """Returns the results folder of this process, absolute, not created."""
    return Home(Path(os.environ.get("SWEEPS_HOME") or "sweep-results").absolute())


def build_sweep_id(slug: str, now: datetime | None = None) -> str:
    """`<slug>-<yyyymmdd-hhmmss>-<4 hex>`, in UTC."""
    return f"{slug}-{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def choose_sweep(ids: Sequence[str], sweep_id: str | None, where: str) -> str:
    """The one of these sweeps, latest first, that has that id or unambiguous beginning; the latest one for None.

    Raises:
        BadUsage: When there is no such sweep, with the ids there are.
    """
    if sweep_id is None:
        if not ids:
            raise BadUsage(f"no sweep in {where}; start one with `sweeps run FILE`, or set SWEEPS_HOME")
        return ids[0]
    matches = [known for known in ids if known == sweep_id] or [known for known in ids if known.startswith(sweep_id)]
    if len(matches) == 1:
        return matches[0]
    found = f"{len(matches)} sweeps begin with it: " + ", ".join(matches) if matches else "no sweep of that id"
    latest = ", ".join(ids[:5]) or "none"
    raise BadUsage(f"{sweep_id}: {found} in {where}; the latest: {latest}")
