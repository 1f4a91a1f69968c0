"""Faults that lie between the parts of a sweep file."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from sweeps.errors import SpecFault
from sweeps.parameters import Categorical, Choices, Constant, LogUniformValues, Parameter, Uniform
from sweeps.space import count_configurations, list_varying, split_arms
from sweeps.tree import KeyPath, Section, find_entry, key_place, value_place
from trainer.config import SETTINGS

MAX_GRID_TRIALS = 100_000
MUST_BE_CONSTANT = ("dataset", "data_dir", "evaluate_on")


def check_sections(draft: Mapping[str, Any], tree: Section, faults: list[SpecFault]) -> None:
    """Adds the faults that lie between the sections of a file.

    Args:
        draft: The keys of SweepSpec that are without fault so far, defaults included.
        tree: The file.
        faults: Gains what is wrong.
    """
    parameters: Mapping[str, Parameter] = draft["parameters"]
    written = find_entry(tree, ("parameters",))
    names = tuple(written.node.entries) if written is not None and isinstance(written.node, Section) else ()
    compare = draft.get("compare")
    arms = 1
    if compare is not None:
        message = _check_compare(compare, parameters, names)
        if message:
            faults.append(value_place(tree, ("compare",)).fault(("compare",), message))
        elif compare in parameters:
            arms = len(split_arms(parameters, compare))
    _check_budget(draft, tree, arms, faults)
    _check_method(draft, tree, faults, complete=set(parameters) == set(names))
    _check_epochs(draft, tree, faults)
    if parameters.get("evaluate_on") == Constant(value="test"):
        faults += _find_choosing(draft, tree)
    for path, parameter in _walk(parameters, ("parameters",)):
        if path[-1] in MUST_BE_CONSTANT and (len(path) > 2 or not isinstance(parameter, Constant)):
            message = "must be one value for the whole sweep, so that all trials have the same pictures"
            faults.append(key_place(tree, path).fault(path, message))


def _check_compare(compare: str, parameters: Mapping[str, Parameter], names: tuple[str, ...]) -> str | None:
    """What is wrong with `compare`, as a sentence."""
    if compare not in names:
        close = get_close_matches(compare, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(names)}" if names else "it is missing"
        return f"{compare!r} is not in parameters; {hint}"
    match parameters.get(compare):
        case None:
            return None  # at fault itself, and reported there
        case Categorical(values=values) if len(values) > 1:
            return None
        case Choices(choices=choices) if len(choices) > 1:
            return None
        case Constant() | Categorical() | Choices():
            return f"{compare!r} has only one value; give it several in values: or choices:, or remove compare"
    return f"{compare!r} is drawn from a range; give it values: or choices:, so that there are arms to compare"


def _check_budget(draft: Mapping[str, Any], tree: Section, arms: int, faults: list[SpecFault]) -> None:
    budget, method = draft.get("budget"), draft.get("method")
    if budget is None or "run_cap" not in draft:
        return
    total, key = (draft["run_cap"], ("run_cap",)) if draft["run_cap"] else (budget.trials, ("budget", "trials"))
    if method not in (None, "grid") and (total, budget.trials_per_arm, budget.hours) == (None, None, None):
        message = f"missing; {method} draws trials for ever, so give trials, trials_per_arm or hours"
        faults.append(key_place(tree, ("budget",)).fault(("budget",), message))
    if total is not None and total % arms:
        fair = [number for number in (total - total % arms, total + arms - total % arms) if number]
        message = (
            f"{total} trials cannot be shared equally by {arms} arms; write {' or '.join(map(str, fair))}, "
            "or trials_per_arm"
        )
        faults.append(value_place(tree, key).fault(key, message))


def _check_method(draft: Mapping[str, Any], tree: Section, faults: list[SpecFault], *, complete: bool) -> None:
    method, parameters = draft.get("method"), draft["parameters"]
    if method == "grid":
        continuous = [
            (path, parameter)
            for path, parameter in _walk(parameters, ("parameters",))
            if isinstance(parameter, Uniform | LogUniformValues)
        ]
        for path, parameter in continuous:
            message = f"{parameter.distribution} has no end of values for grid to list; write values: instead"
            faults.append(key_place(tree, path).fault(path, message))
        num_trials = None if continuous else count_configurations(parameters)
        if num_trials is not None and num_trials > MAX_GRID_TRIALS:
            message = f"the grid has {num_trials:,} trials; allowed: {MAX_GRID_TRIALS:,}; give fewer values"
            faults.append(value_place(tree, ("method",)).fault(("method",), message))
    elif method is not None and complete and not any(list_varying(parameters)) and parameters:
        message = f"no parameter has more than one value, so {method} has nothing to search; method: grid runs it once"
        faults.append(value_place(tree, ("method",)).fault(("method",), message))


def _check_epochs(draft: Mapping[str, Any], tree: Section, faults: list[SpecFault]) -> None:
    """Under early stopping all trials have the same epochs, and the rungs lie within them."""
    asha, parameters = draft.get("early_terminate"), draft["parameters"]
    if asha is None:
        return
    for path, parameter in _walk(parameters, ("parameters",)):
        if path[-1] == "epochs" and (len(path) > 2 or not isinstance(parameter, Constant)):
            message = "must be one value when early_terminate is given, since rungs are epochs that all trials reach"
            faults.append(key_place(tree, path).fault(path, message))
            return
    written = find_entry(tree, ("parameters", "epochs"))
    if written is not None and "epochs" not in parameters:
        return  # at fault itself, and reported there
    epochs = parameters["epochs"].value if written else SETTINGS["epochs"].default
    if not isinstance(epochs, int):
        return
    by_default = "" if written else ", the default"
    if asha.max_iter is not None and asha.max_iter > epochs:
        path = ("early_terminate", "max_iter")
        message = f"found {asha.max_iter}; allowed: up to parameters.epochs, {epochs}{by_default}"
        faults.append(value_place(tree, path).fault(path, message))
    elif asha.min_iter >= epochs:
        path = ("early_terminate", "min_iter")
        message = f"found {asha.min_iter}; allowed: below parameters.epochs, {epochs}{by_default}"
        faults.append(value_place(tree, path).fault(path, message))


def _find_choosing(draft: Mapping[str, Any], tree: Section) -> Iterator[SpecFault]:
    """Faults of a sweep that evaluates on the test pictures and would choose by them."""
    why = "with parameters.evaluate_on: test, under which the test pictures would choose"
    if draft.get("method") not in (None, "grid"):
        yield value_place(tree, ("method",)).fault(("method",), f"found {draft['method']} {why}; allowed: grid")
    if draft.get("early_terminate") is not None:
        message = f"found {why} what is stopped; remove it"
        yield key_place(tree, ("early_terminate",)).fault(("early_terminate",), message)
    confirm = draft.get("confirm")
    if confirm is not None and confirm.top:
        path = ("confirm", "top") if find_entry(tree, ("confirm", "top")) else ("confirm",)
        yield key_place(tree, path).fault(
            path, f"found {confirm.top} {why} what is retrained; write confirm: {{top: 0}}"
        )


def _walk(parameters: Mapping[str, Parameter], path: KeyPath) -> Iterator[tuple[KeyPath, Parameter]]:
    """Yields every parameter with its key path, those inside choices too."""
    for name, parameter in parameters.items():
        yield (*path, name), parameter
        if isinstance(parameter, Choices):
            for choice, settings in parameter.choices.items():
                yield from _walk(settings, (*path, name, "choices", choice))
