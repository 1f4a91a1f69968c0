"""Whether a sweep that is resumed is still the one that was begun: its file, its images, its code.

The journal holds what the first driver found. Whatever changes results must be the same again; budgets may be raised;
other versions of libraries are noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage
from sweeps.spec import SweepSpec

if TYPE_CHECKING:
    from tracking.recording.events import SweepRecord

MAX_SHOWN = 12

# Limits of a budget, in each of which a greater number lets a sweep go on for longer.
_LIMITS = (
    "run_cap",
    *(f"budget.{name}" for name in ("trials", "trials_per_arm", "epochs_per_arm", "hours", "trial_hours")),
    *(f"budget.{name}" for name in ("plateau", "max_consecutive_failures", "max_failures_fraction")),
)


_CANNOT = "it cannot go on, since what changes its results has changed"


def check_same_spec(
    begun: SweepSpec, now: SweepSpec, sweep_id: str, *, others: Sequence[str] = (), cannot: str = _CANNOT
) -> None:
    """Returns when a sweep may go on with another spec: the same one, or one whose budget was raised.

    Args:
        begun: What it was until now.
        now: What it is to be.
        sweep_id: Its id.
        others: What else differs, and may not.
        cannot: How a message begins.

    Raises:
        BadUsage: With what differs.
    """
    before, after = (dict(_flatten(spec.model_dump(mode="json"))) for spec in (begun, now))
    if before.get("budget.target") != after.get("budget.target") and _is_harder(begun, now):
        before.pop("budget.target", None)
        after.pop("budget.target", None)
    differences = [
        f"{key}: {_show(before.get(key))} when it was begun, {_show(after.get(key))} now"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key) and not _is_raised(key, before.get(key), after.get(key))
    ]
    _refuse([*differences, *others], sweep_id, cannot)


def list_changes(before: SweepSpec, after: SweepSpec) -> list[str]:
    """What is different in the second, each as `key: old, now new`."""
    old, new = (dict(_flatten(spec.model_dump(mode="json"))) for spec in (before, after))
    return [
        f"{key}: {_show(old.get(key))}, now {_show(new.get(key))}"
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    ]


def note_extensions(drivers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence for each time that the search was made larger after it had ended."""
    return tuple(
        f"Extended on {driver.get('started', 'another day')}, when its result could be seen: "
        f"{'; '.join(driver['extended'])}."
        for driver in drivers
        if driver.get("extended")
    )


def check_same_ground(begun: SweepRecord, ground: Mapping[str, Any], arms: Sequence[str]) -> None:
    """Returns when images, arms and code are those with which a sweep was begun.

    Args:
        begun: What its first driver found.
        ground: What is found now, by the keys that the manifest has for it.
        arms: Their names now.

    Raises:
        BadUsage: With what differs.
    """
    differences = []
    data, data_now = begun.manifest.get("data", {}), ground["data"]
    if data.get("name") != data_now.get("name"):
        differences.append(f"dataset: {_show(data.get('name'))} when it was begun, {_show(data_now.get('name'))} now")
    elif data.get("digest") != data_now.get("digest"):
        differences.append(f"dataset: images or labels of {data.get('name')} are not those it was begun with")
    elif data.get("split_digest") != data_now.get("split_digest"):
        differences.append("dataset: other images are held out for validation")
    if tuple(begun.arms) != tuple(arms):
        differences.append(f"arms: {', '.join(begun.arms)} when it was begun, {', '.join(arms)} now")
    if "own_code" in begun.manifest:  # not in journals of before November 26, 2026
        differences += _compare_files(begun.manifest["own_code"], ground["own_code"])
    _refuse(differences, begun.sweep_id)


def check_same_prior(begun: SweepRecord, digest: str) -> None:
    """Returns when the trials of earlier sweeps that one learns from are those it was begun with.

    Args:
        begun: What its first driver found.
        digest: Of the file that keeps them; "" for none.

    Raises:
        BadUsage: When they are others.
    """
    if digest and digest != begun.manifest.get("prior_digest", digest):
        _refuse(["prior: the earlier trials that it learns from are not those it was begun with"], begun.sweep_id)


def note_versions(drivers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence for each driver that did not run on what the first one ran on."""
    notes = []
    for driver in drivers[1:]:
        first, here = (dict(_flatten(_list_versions(each))) for each in (drivers[0], driver))
        changed = [
            f"{name} {here[name]} in place of {first.get(name)}" for name in here if here[name] != first.get(name)
        ]
        if changed:
            notes.append(f"Resumed on {driver.get('started', 'another day')} with {', '.join(changed)}.")
    return tuple(dict.fromkeys(notes))


def _list_versions(driver: Mapping[str, Any]) -> dict[str, Any]:
    return {**driver.get("packages", {}), **{name: driver.get(name) for name in ("python", "processor")}}


def _refuse(differences: Sequence[str], sweep_id: str, cannot: str = _CANNOT) -> None:
    if not differences:
        return
    shown = [*differences[:MAX_SHOWN]]
    if len(differences) > MAX_SHOWN:
        shown.append(f"and {len(differences) - MAX_SHOWN} more")
    lines = "\n".join(f"  {each}" for each in shown)
    raise BadUsage(
        f"{sweep_id}: {cannot}:\n{lines}\n"
        "put it back as it was, or start a new sweep, which may learn from this one "
        f"(`sweeps run FILE --set 'prior=[{sweep_id}]'`)"
    )


def _compare_files(begun: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Yields what was done to the user's own files."""
    for name in dict.fromkeys((*begun, *now)):
        if name not in now:
            yield f"own code: {name} was used when it was begun, and is not now"
        elif name not in begun:
            yield f"own code: {name} is used now, and was not when it was begun"
        elif begun[name] != now[name]:
            yield f"own code: {name} has changed"


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value of nested mappings with its keys, which dots connect."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flatten(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _is_raised(key: str, before: Any, after: Any) -> bool:
    """Whether a key is a limit of the budget that was raised, or lifted."""
    if key not in _LIMITS or before is None:
        return False
    return after is None or after > before


def _is_harder(begun: SweepSpec, now: SweepSpec) -> bool:
    """Whether the score at which the search ends is further away, or is none any more."""
    if begun.budget.target is None or now.budget.target is None:
        return begun.budget.target is not None
    return (now.budget.target > begun.budget.target) == (begun.metric.goal == "maximize")


def _show(value: Any) -> str:
    return "nothing" if value is None else str(value)
