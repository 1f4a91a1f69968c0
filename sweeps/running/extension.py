"""Whether a sweep may go on with a larger search: a greater budget, wider ranges, longer lists; and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sweeps.errors import BadUsage
from sweeps.running.same_sweep import check_same_spec, list_changes
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import Range
from sweeps.space.parameters import Choices, Parameter
from sweeps.spec import SweepSpec
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.stopping.rules import RULES


def check_extension(begun: SweepSpec, now: SweepSpec, sweep_id: str, num_tried: Mapping[str, int]) -> None:
    """Returns when a sweep may go on as another: what was tried stays part of it, and there is more to try.

    Every trial that has run could have been drawn from the wider space as well, and every arm's budget stays equal, so
    the comparison stays fair. Whoever extends a sweep has seen its result: that is one more look, and costs a share of
    the error (`history.count_extensions`).

    Args:
        begun: What it was until now.
        now: What it is to be.
        sweep_id: Its id.
        num_tried: Search trials that each arm has had.

    Raises:
        BadUsage: With what may not change, or since nothing would be tried.
    """
    rule = begun.early_terminate
    if rule is not None and RULES[rule.type].changes_settings:
        raise BadUsage(f"{sweep_id}: a population is as large as it began ({rule.type}); start a new sweep")
    faults = list(_find_narrower(begun.parameters, now.parameters, "parameters", frozenset(begun.compare)))
    check_same_spec(
        begun,
        now.model_copy(update={"parameters": begun.parameters}),
        sweep_id,
        others=faults,
        cannot="it cannot be extended so: only budgets may be raised, ranges widened and lists made longer",
    )
    if not list_changes(begun, now):
        raise BadUsage(
            f"{sweep_id}: nothing would change; raise its budget or widen a range, for example "
            f"--set {_suggest_budget(begun)}"
        )
    limits = num_search_trials(now, build_arms(now))
    if all(limit is not None and num_tried.get(arm, 0) >= limit for arm, limit in limits.items()):
        raise BadUsage(
            f"{sweep_id}: all trials of its budget have been tried, so that nothing new would be; raise it as well: "
            f"--set {_suggest_budget(begun)}"
        )


def _suggest_budget(spec: SweepSpec) -> str:
    """A budget twice as large, as `--set` takes it."""
    for key in ("trials_per_arm", "trials", "epochs_per_arm", "hours"):
        if limit := getattr(spec.budget, key):
            return f"budget.{key}={2 * limit:g}"
    return "parameters.lr.values=[...]"  # a grid, which needs no budget


def _find_narrower(
    before: Mapping[str, Parameter], after: Mapping[str, Parameter], place: str, compared: frozenset[str]
) -> Iterator[str]:
    """Yields what is not drawn any more, or is drawn in another way."""
    for name in dict.fromkeys((*before, *after)):
        path = f"{place}.{name}"
        if name not in after or name not in before:
            yield f"{path}: {'was there' if name in before else 'was not there'} when it was begun"
        elif name in compared and _list_names(before[name]) != _list_names(after[name]):
            yield f"{path}: the arms are {', '.join(_list_names(before[name]))}; others cannot catch up"
        elif not is_wider(before[name], after[name]):
            yield from _explain(before[name], after[name], path, compared)


def _explain(before: Parameter, after: Parameter, path: str, compared: frozenset[str]) -> Iterator[str]:
    if isinstance(before, Choices) and isinstance(after, Choices):
        for choice, settings in before.choices.items():
            if choice in after.choices:
                yield from _find_narrower(settings, after.choices[choice], f"{path}.choices.{choice}", compared)
            else:
                yield f"{path}.choices: {choice} was there when it was begun"
        return
    yield f"{path}: {_show(before)} when it was begun, which {_show(after)} does not hold"


def is_wider(before: Parameter, after: Parameter) -> bool:
    """Whether all that one parameter can be is what the other can be as well, drawn in the same way; or the same.

    Args:
        before: What trials have had.
        after: What they are to have.
    """
    if before == after:
        return True
    if isinstance(before, Choices):
        return isinstance(after, Choices) and all(
            choice in after.choices
            and set(settings) == set(after.choices[choice])
            and all(is_wider(each, after.choices[choice][name]) for name, each in settings.items())
            for choice, settings in before.choices.items()
        )
    if isinstance(before, Constant | Categorical):
        if not isinstance(after, Categorical) or after.probabilities is not None:
            return False
        drawn_alike = isinstance(before, Constant) or before.probabilities is None
        return drawn_alike and all(after.contains(value) for value in before.list_values())
    if isinstance(before, Range) and type(before) is type(after):
        fixed = {name for name in type(before).model_fields if name not in ("min", "max")}
        same = all(getattr(before, name) == getattr(after, name) for name in fixed)
        return same and after.min <= before.min and after.max >= before.max
    return False


def _list_names(parameter: Parameter) -> list[str]:
    """The arms that a compared parameter makes."""
    if isinstance(parameter, Choices):
        return list(parameter.choices)
    return [str(value) for value in parameter.list_values()]


def _show(parameter: Parameter) -> str:
    facts = parameter.model_dump(mode="json", exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in facts.items() if name != "distribution")
