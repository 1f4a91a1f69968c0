"""What is known of a sweep and of a trial when they start. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
class Event:
    """One thing that happened.

    Attributes:
        sequence: Counts from 1 within a journal.
        kind: start_sweep | start_trial | epoch | pause | go_on | end_trial | phase | end_sweep.
        time_ms: Milliseconds since 1970 when it happened, which is not when it was sent.
        trial_id: "" for what concerns the whole sweep.
    """

    sequence: int
    kind: str
    time_ms: int
    trial_id: str
    content: Mapping[str, Any]

    def to_line(self) -> bytes:
        """The event as a line of the journal."""
        fields = {"sequence": self.sequence, "kind": self.kind, "time_ms": self.time_ms, "trial_id": self.trial_id}
        return json.dumps({**fields, "content": self.content}, default=str).encode() + b"\n"
