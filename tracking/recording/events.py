"""What happens in a sweep, one class a kind, and how a line of its journal says it. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self, get_args

from tracking.names import SweepState, TrialState
from tracking.table import Value


@dataclass(frozen=True)
class SweepRecord:
    """What is known of a sweep when it starts.

    Attributes:
        sweep_file: The text that the user wrote; `resolved` is what ran.
        manifest: Versions, hardware, digests; no secrets.
        tags: Further tags of the parent run.
        compare: The compared parameters, with commas between them; None means one arm.
        searched: Parameters that vary.
        notices: What a reader must know before any number.
    """

    sweep_id: str
    name: str
    project: str
    description: str
    sweep_file: str
    resolved: str
    manifest: Mapping[str, Any]
    tags: Mapping[str, str]
    goal_metric: str
    goal: str
    compare: str | None
    arms: tuple[str, ...]
    searched: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialRecord:
    """What is known of a trial when it starts; `number` counts within its arm and stage."""

    trial_id: str
    number: int
    arm: str
    stage: str
    seed: int
    parameters: Mapping[str, Value]


@dataclass(frozen=True)
class SweepStarted:
    """A driver of the sweep starts, the first or one that resumes it."""

    kind: ClassVar[str] = "start_sweep"
    trial_id: ClassVar[str] = ""
    record: SweepRecord

    def to_content(self) -> dict[str, Any]:
        """The fields of the record."""
        return asdict(self.record)

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """With lists as tuples again."""
        fields: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in content.items()}
        return cls(SweepRecord(**fields))


@dataclass(frozen=True)
class TrialStarted:
    """A trial's run is opened, again after a resume."""

    kind: ClassVar[str] = "start_trial"
    record: TrialRecord

    @property
    def trial_id(self) -> str:
        """Of the record."""
        return self.record.trial_id

    def to_content(self) -> dict[str, Any]:
        """The fields of the record."""
        return asdict(self.record)

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The record has the trial's id itself."""
        record = TrialRecord(**content)
        dict(record.parameters)  # raises where it is none
        return cls(record)


@dataclass(frozen=True)
class EpochRecorded:
    """A trial has ended an epoch.

    Attributes:
        epoch: Counts from 1.
        metrics: Of the epoch.
        ended: Whether the trial ended by itself with it.
        kept: Whether `tags` and `summary` are kept, for a later driver that closes the trial.
        tags: Words for the trial's tags.
        summary: Metrics of the whole trial.
    """

    kind: ClassVar[str] = "epoch"
    trial_id: str
    epoch: int
    metrics: Mapping[str, float]
    ended: bool = False
    kept: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)

    def to_content(self) -> dict[str, Any]:
        """Most epochs are a number and metrics alone."""
        content: dict[str, Any] = {"ended": True} if self.ended else {}
        if self.kept:
            content |= {"marks": dict(self.tags), "summary": dict(self.summary)}
        return content | {"epoch": self.epoch, "metrics": dict(self.metrics)}

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:
        """What was left out is empty."""
        return cls(
            trial_id,
            int(content["epoch"]),
            _read_numbers(content["metrics"]),
            bool(content.get("ended")),
            "marks" in content,
            dict(content.get("marks", {})),
            _read_numbers(content.get("summary", {})),
        )


@dataclass(frozen=True)
class TrialPaused:
    """A trial waits, its state on the disk."""

    kind: ClassVar[str] = "pause"
    trial_id: str

    def to_content(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Only the trial."""
        return cls(trial_id)


@dataclass(frozen=True)
class TrialResumed:
    """A trial that waited goes on.

    Attributes:
        change: Empty for one that goes on as it was; else its donor's id, and its new parameters.
    """

    kind: ClassVar[str] = "go_on"
    trial_id: str
    change: Mapping[str, Any]

    def to_content(self) -> dict[str, Any]:
        """The change."""
        return dict(self.change)

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:
        """The change."""
        return cls(trial_id, dict(content))


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended.

    Attributes:
        state: How.
        stop_reason: Why, in words.
        metrics: Of the whole trial, such as the test accuracy.
        tags: Words for its tags.
    """

    kind: ClassVar[str] = "end_trial"
    trial_id: str
    state: TrialState
    stop_reason: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_content(self) -> dict[str, Any]:
        """The tags are called marks in the journal."""
        return {
            "state": str(self.state),
            "stop_reason": self.stop_reason,
            "metrics": dict(self.metrics),
            "marks": dict(self.tags),
        }

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:
        """Journals of before November 25, 2026 have no marks."""
        state, reason = TrialState(content["state"]), content["stop_reason"]
        return cls(trial_id, state, reason, _read_numbers(content["metrics"]), dict(content.get("marks", {})))


@dataclass(frozen=True)
class PhaseNoted:
    """The driver was asked for something: "" | paused | stopping | cancelling."""

    kind: ClassVar[str] = "phase"
    trial_id: ClassVar[str] = ""
    phase: str

    def to_content(self) -> dict[str, Any]:
        """The phase."""
        return {"phase": self.phase}

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The phase."""
        return cls(str(content["phase"]))


@dataclass(frozen=True)
class SweepEnded:
    """A driver of the sweep ends.

    Attributes:
        state: How.
        note: Markdown for the run's page; "" leaves what is there.
        artifacts: Paths of files for the parent run.
        tags: Of the parent run: the verdict.
    """

    kind: ClassVar[str] = "end_sweep"
    trial_id: ClassVar[str] = ""
    state: SweepState
    note: str = ""
    artifacts: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_content(self) -> dict[str, Any]:
        """State, note, paths and tags."""
        content = {"state": str(self.state), "note": self.note, "artifacts": list(self.artifacts)}
        return {**content, **({"tags": dict(self.tags)} if self.tags else {})}

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Journals of before November 28, 2026 have no tags."""
        state, tags = SweepState(content["state"]), dict(content.get("tags", {}))
        return cls(state, content["note"], tuple(content["artifacts"]), tags)


@dataclass(frozen=True)
class JournalRepaired:
    """The journal was damaged, and was repaired as far as that could be.

    Attributes:
        sentence: What a reader has to know of it.
        trials: Of which something is lost.
    """

    kind: ClassVar[str] = "repaired"
    trial_id: ClassVar[str] = ""
    sentence: str
    trials: tuple[str, ...] = ()

    def to_content(self) -> dict[str, Any]:
        """Both."""
        return {"sentence": self.sentence, "trials": list(self.trials)}

    @classmethod
    def from_content(cls, trial_id: str, content: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Both."""
        return cls(str(content["sentence"]), tuple(content["trials"]))


def _read_numbers(content: Mapping[str, Any]) -> dict[str, float]:
    return {str(key): float(value) for key, value in content.items()}


Happening = (
    SweepStarted
    | TrialStarted
    | EpochRecorded
    | TrialPaused
    | TrialResumed
    | TrialEnded
    | PhaseNoted
    | SweepEnded
    | JournalRepaired
)
_KINDS: Mapping[str, type[Happening]] = {each.kind: each for each in get_args(Happening)}


_CHECKSUM = b', "crc": %d}'  # the end of a line; those of before November 26, 2026 have none
_CHECKED = re.compile(rb', "crc": (\d{1,10})\}\s*$')


def _check(line: bytes) -> bytes:
    """A line without its checksum.

    Raises:
        ValueError: When they do not agree: the line was damaged, though it may still be JSON.
    """
    found = _CHECKED.search(line)
    if found is None:
        return line
    text = line[: found.start()] + b"}"
    if zlib.crc32(text) != int(found[1]):
        raise ValueError(f"a line that was damaged: {line[:80]!r}")
    return text


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        sequence: Counts from 1 within a journal.
        time_ms: Milliseconds since 1970 when it happened, which is not when it was sent.
        what: What happened.
    """

    sequence: int
    time_ms: int
    what: Happening

    def to_line(self) -> bytes:
        """The event as a line of the journal."""
        fields = {
            "sequence": self.sequence,
            "kind": self.what.kind,
            "time_ms": self.time_ms,
            "trial_id": self.what.trial_id,
            "content": self.what.to_content(),
        }
        text = json.dumps(fields, default=str).encode()
        return text[:-1] + _CHECKSUM % zlib.crc32(text) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The event that a line of a journal says.

        Raises:
            ValueError: When the line is torn or damaged.
        """
        try:
            fields = json.loads(_check(line))
            kind = _KINDS[fields["kind"]]
            what = kind.from_content(str(fields["trial_id"]), fields["content"])
            return cls(int(fields["sequence"]), int(fields["time_ms"]), what)
        except (LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"no event of a journal: {line[:80]!r}") from error
