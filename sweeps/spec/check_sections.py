"""Faults that lie between the parts of a sweep file."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sweeps.reader.faults import Faults
from sweeps.reader.tree import KeyPath, Section
from sweeps.search.methods import METHODS
from sweeps.space.arms import Arm, contains, count_arms, list_varying, num_dimensions, searched, split_arms
from sweeps.space.constraints import ConstraintError, parse_constraint
from sweeps.space.defaults import build_default
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.parameters import Choices, Parameter, count_configurations, walk
from sweeps.spec.check_space import MAX_TEXT_CHARACTERS
from sweeps.stopping.rule import RuleSection
from sweeps.stopping.rules import RULES
from sweeps.trials.objectives import Objective
from trainer.config import SETTINGS, ConfigError, Value, known_names
from trainer.config.changes import CHANGES, FIXED
from trainer.tables.settings import did_you_mean

MAX_GRID_TRIALS = 100_000
MAX_GRID_LOOKS = 20_000  # at one constraint each; one takes up to 50 microseconds
MAX_CONSTRAINTS = 50
MAX_CONSTRAINT_CHARACTERS = 5_000
MAX_PRIOR = 100
_TOO_MANY_TO_WRITE = 10**12
MAX_ARM_CHARACTERS = 500
MAX_ARMS = 1_000  # each has a study of its own, and a row in every table
_NUMBER_CHARACTERS = 30  # of a setting and what is around it, in JSON, beside its name
_EPOCH_CHARACTERS = 12
MUST_BE_CONSTANT = ("dataset", "data_dir", "evaluate_on")


def check_sections(draft: Mapping[str, Any], faults: Faults) -> None:
    """Adds the faults that lie between the sections of a file.

    Args:
        draft: The keys of SweepSpec that are without fault so far, defaults included.
        faults: Gains what is wrong.
    """
    parameters: Mapping[str, Parameter] = draft["parameters"]
    written = faults.find(("parameters",))
    names = tuple(written.entries) if isinstance(written, Section) else ()
    compare: tuple[str, ...] = draft.get("compare", ())
    messages = [message for each in compare if (message := _check_compare(each, parameters, names))]
    for message in messages:
        faults.at_value(("compare",), message)
    arms: tuple[Arm, ...] = (Arm("all", parameters),)
    if not messages and all(each in parameters for each in compare):
        arms = _split(parameters, compare, faults) if compare else arms
        if arms and set(parameters) == set(names):
            _find_point_faults(draft, faults)
            if "method" in draft:
                _find_method_faults(draft, arms, faults)
    if arms:
        _check_budget(draft, len(arms), faults)
    _check_method(draft, faults, complete=set(parameters) == set(names))
    _check_epochs(draft, faults)
    _find_constraint_faults(draft.get("constraints", ()), faults)
    _find_unused(draft, faults)
    _find_confirm_faults(draft, arms if set(parameters) == set(names) else (), faults)
    _find_metrics_faults(draft, faults)
    _find_pbt_faults(draft, arms, faults)
    if parameters.get("evaluate_on") == Constant(value="test"):
        _find_choosing(draft, faults)
    for path, parameter in walk(parameters, path=("parameters",)):
        if path[-1] in MUST_BE_CONSTANT and (len(path) > 2 or not isinstance(parameter, Constant)):
            message = "must be one value for the whole sweep, so that all trials have the same images"
            faults.at_key(path, message)


def _check_compare(compare: str, parameters: Mapping[str, Parameter], names: tuple[str, ...]) -> str | None:
    """What is wrong with `compare`, as a sentence."""
    if compare not in names:
        listed = f"it has: {', '.join(names)}" if names else "it is missing"
        return f"{compare!r} is not in parameters; {did_you_mean(compare, names) or listed}"
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


def _split(parameters: Mapping[str, Parameter], compare: tuple[str, ...], faults: Faults) -> tuple[Arm, ...]:
    """The arms; none and a fault where there are too many, or two of one name."""
    number = count_arms(parameters, compare)
    if number > MAX_ARMS:
        message = f"makes {number:,} arms; allowed: {MAX_ARMS:,}; give fewer values"
        faults.at_value(("compare",), message)
        return ()
    arms = split_arms(parameters, compare)
    names = Counter(arm.name for arm in arms)
    for name in (name for name, count in names.items() if count > 1):
        faults.at_value(
            ("compare",), f"makes {names[name]} arms of one name, {name!r}; write their values in other words"
        )
    longest = max(names, key=len)
    if len(longest) > MAX_ARM_CHARACTERS:
        message = (
            f"makes an arm of {len(longest):,} characters, its name; allowed: {MAX_ARM_CHARACTERS}; shorten the values"
        )
        faults.at_value(("compare",), message)
    return arms if len(names) == len(arms) else ()


def _check_budget(draft: Mapping[str, Any], arms: int, faults: Faults) -> None:
    budget, method = draft.get("budget"), draft.get("method")
    if budget is None or "run_cap" not in draft:
        return
    total, key = (draft["run_cap"], ("run_cap",)) if draft["run_cap"] else (budget.trials, ("budget", "trials"))
    ends = (total, budget.trials_per_arm, budget.epochs_per_arm, budget.hours)
    if method not in (None, "grid") and ends == (None,) * 4:
        message = f"missing; {method} draws trials for ever, so give trials, trials_per_arm, epochs_per_arm or hours"
        faults.at_key(("budget",), message)
    if total is not None and total % arms:
        fair = [number for number in (total - total % arms, total + arms - total % arms) if number]
        message = (
            f"{total} trials cannot be shared equally by {arms} arms; write {' or '.join(map(str, fair))}, "
            "or trials_per_arm"
        )
        faults.at_value(key, message)


def _check_method(draft: Mapping[str, Any], faults: Faults, *, complete: bool) -> None:
    method, parameters = draft.get("method"), draft["parameters"]
    if method is not None and METHODS[method].is_exhaustive:
        continuous = [
            (path, parameter)
            for path, parameter in walk(parameters, path=("parameters",))
            if not isinstance(parameter, Choices) and parameter.count is None
        ]
        for path, parameter in continuous:
            message = f"{parameter.distribution} has no end of values for grid to list; write values: instead"
            faults.at_key(path, message)
        num_trials = None if continuous else count_configurations(parameters)
        constraints = draft.get("constraints", ())
        allowed = MAX_GRID_LOOKS // len(constraints) if constraints else MAX_GRID_TRIALS
        if num_trials is not None and num_trials > allowed:
            among = f" to compare with {len(constraints)} constraints" if constraints else ""
            found = f"{num_trials:,}" if num_trials < _TOO_MANY_TO_WRITE else f"{float(num_trials):.1e}"
            message = f"the grid has {found} trials{among}; allowed: {allowed:,}; give fewer values"
            faults.at_value(("method",), message)
    elif method is not None and complete and not any(list_varying(parameters)) and parameters:
        message = f"no parameter has more than one value, so {method} has nothing to search; method: grid runs it once"
        faults.at_value(("method",), message)


def _check_epochs(draft: Mapping[str, Any], faults: Faults) -> None:
    """Under early stopping all trials have the same epochs, and the rungs lie within them."""
    rule, parameters = draft.get("early_terminate"), draft["parameters"]
    if rule is None:
        return
    for path, parameter in walk(parameters, path=("parameters",)):
        if path[-1] == "epochs" and (len(path) > 2 or not isinstance(parameter, Constant)):
            message = "must be one value when early_terminate is given, since rungs are epochs that all trials reach"
            faults.at_key(path, message)
            return
    written = faults.find(("parameters", "epochs"))
    if written is not None and "epochs" not in parameters:
        return  # at fault itself, and reported there
    epochs = parameters["epochs"].value if written else SETTINGS["epochs"].default
    if not isinstance(epochs, int):
        return
    by_default = "" if written else ", the default"
    for key, end in (("max_iter", epochs), ("min_iter", epochs - 1)):
        found = getattr(rule, key, None)
        if found is not None and found > end:
            allowed = (
                f"up to parameters.epochs, {epochs}" if key == "max_iter" else f"below parameters.epochs, {epochs}"
            )
            path = ("early_terminate", key)
            faults.at_value(path, f"found {found}; allowed: {allowed}{by_default}")
            return
    if rule.remedy and not rule.rungs(epochs):
        message = f"no rung lies between epoch 1 and parameters.epochs, {epochs}{by_default}; give {rule.remedy}"
        faults.at_key(("early_terminate",), message)


def _find_method_faults(draft: Mapping[str, Any], arms: tuple[Arm, ...], faults: Faults) -> None:
    """Faults of a space that its method cannot search."""
    method = METHODS[draft["method"]]
    able = [name for name, other in METHODS.items() if other.takes_choices and other.takes_categories]
    for arm in arms:
        choices = [name for name, each in arm.parameters.items() if isinstance(each, Choices) and len(each.choices) > 1]
        lists = [name for name, each in arm.parameters.items() if isinstance(each, Categorical) and each.varies]
        if choices and not method.takes_choices:
            message = f"{method.name} cannot search settings that hang on the choice of {choices[0]}"
            faults.at_value(("method",), f"{message}; write compare: {choices[0]}, or use {', '.join(able)}")
            return
        if lists and not method.takes_categories:
            message = f"{method.name} searches numbers alone, and {lists[0]} is a list of values"
            faults.at_value(("method",), f"{message}; give it a range, compare it, or use {', '.join(able)}")
            return
        if 0 < num_dimensions(arm) < method.min_dimensions:
            message = f"{method.name} searches {method.min_dimensions} parameters or more"
            faults.at_value(("method",), f"{message}, and arm {arm.name} has one; use {', '.join(able)}")
            return


def _find_point_faults(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of points that no arm can try."""
    points: tuple[Mapping[str, Value], ...] = draft.get("points", ())
    method = draft.get("method")
    if points and method is not None and METHODS[method].is_exhaustive:
        message = f"found with method {method}, which tries all; remove them"
        faults.at_key(("points",), message)
        return
    whole = Arm("all", draft["parameters"])  # a point that it contains is one of an arm
    for index, point in enumerate(points):
        if contains(whole, point):
            continue
        strange = [name for name in point if not contains(whole, {name: point[name]})]
        what = f"{strange[0]}: {point[strange[0]]!r} is" if strange else "its values together are"
        faults.at_item("points", index, f"{what} nothing that the parameters say; change it")


def _find_constraint_faults(constraints: tuple[str, ...], faults: Faults) -> None:
    """Faults of constraints that cannot be read, or are about what is no parameter."""
    if len(constraints) > MAX_CONSTRAINTS:
        faults.at_key(("constraints",), f"found {len(constraints)}; allowed: {MAX_CONSTRAINTS}; join some with `and`")
    num_characters = sum(map(len, constraints))
    if num_characters > MAX_CONSTRAINT_CHARACTERS:
        message = f"found {num_characters:,} characters in all; allowed: {MAX_CONSTRAINT_CHARACTERS:,}; shorten some"
        faults.at_key(("constraints",), message)
    for index, text in enumerate(constraints[:MAX_CONSTRAINTS]):
        try:
            constraint = parse_constraint(text)
        except ConstraintError as error:
            faults.at_item("constraints", index, str(error))
            continue
        for name in sorted(constraint.names - known_names()):
            hint = did_you_mean(name, sorted(known_names())) or "a text stands in quotes: optimizer != 'adam'"
            faults.at_item("constraints", index, f"{name!r} is no parameter; {hint}")


def _find_unused(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of settings that the method would not look at."""
    metric = draft.get("metric")
    if "method" not in draft:
        return
    method: str = draft["method"]
    if metric is not None and metric.impute is not None and not METHODS[method].learns:
        path: KeyPath = ("metric", "impute")
        faults.at_key(path, f"means nothing to {method}, which learns from no score; remove it")
    if len(draft.get("prior", ())) > MAX_PRIOR:
        faults.at_key(("prior",), f"found {len(draft['prior'])} sweeps; allowed: {MAX_PRIOR}; name fewer")
    if draft.get("prior") and not METHODS[method].learns:
        message = f"means nothing to {method}, which learns from no trial; remove it"
        faults.at_key(("prior",), message)
    if METHODS[method].draws_by_probability:
        return
    able = " and ".join(each.name for each in METHODS.values() if each.draws_by_probability)
    for path, parameter in walk(draft["parameters"], path=("parameters",)):
        if isinstance(parameter, Categorical) and parameter.probabilities is not None:
            path = (*path, "probabilities")
            message = f"found with method {method}; only {able} draw by them; remove it"
            faults.at_key(path, message)


def _find_metrics_faults(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of several metrics, and of what does not go with more than one."""
    metrics: tuple[Objective, ...] = draft.get("metrics", ())
    if not metrics:
        return
    names = [metric.name for metric in metrics]
    path: KeyPath = ("metrics",)
    if faults.find(("metric",)) is not None:
        faults.at_key(path, "excludes metric; keep one of the two")
    if len(metrics) == 1:
        faults.at_key(path, "has only one; give several, or write metric:")
    for index, name in enumerate(names):
        if name in names[:index]:
            faults.at_item("metrics", index, f"{name} is in the list twice; keep one")
    method = draft.get("method")
    if method is not None and not METHODS[method].takes_metrics:
        able = ", ".join(each.name for each in METHODS.values() if each.takes_metrics)
        message = f"found {method}, which looks for one best score; allowed with metrics: {able}"
        faults.at_value(("method",), message)
    if draft.get("prior"):
        message = "found with metrics; trials of earlier sweeps have one score; remove it"
        faults.at_key(("prior",), message)


def _find_pbt_faults(draft: Mapping[str, Any], arms: tuple[Arm, ...], faults: Faults) -> None:
    """Faults of what does not go with settings that change while a trial runs."""
    rule = draft.get("early_terminate")
    if rule is None or not RULES[rule.type].changes_settings:
        return
    method, budget, confirm = draft.get("method"), draft.get("budget"), draft.get("confirm")
    if method is not None and METHODS[method].learns:
        message = f"found {method} with pbt, whose trials do not keep their settings; allowed: grid, random or sobol"
        faults.at_value(("method",), message)
    counts = budget is None or "run_cap" not in draft or draft["run_cap"] or budget.trials or budget.trials_per_arm
    if method is not None and METHODS[method].draws_by_probability and not counts:
        message = "pbt needs to know the size of the population; give trials_per_arm"
        faults.at_key(("budget",), message)
    parameters: Mapping[str, Parameter] = draft.get("parameters", {})
    places = [path for path, _ in walk(parameters, path=("parameters",)) if path[-1] == CHANGES]
    for place in places:
        faults.at_key(place, "found with pbt, which decides itself when settings change; remove one of them")
    if confirm is not None and confirm.top and not places:
        _find_long_course(rule, parameters, arms, faults)


def _find_long_course(
    rule: RuleSection, parameters: Mapping[str, Parameter], arms: tuple[Arm, ...], faults: Faults
) -> None:
    """A fault of more changes than the one setting holds by which a retraining repeats them."""
    given = parameters.get("epochs", Constant(value=SETTINGS["epochs"].default))
    ends = () if isinstance(given, Choices) else given.ends()
    epochs = max((each for each in ends if isinstance(each, int)), default=0)
    changing = [[name for name in searched(arm) if name not in FIXED] for arm in arms]
    longest = max((sum(len(name) + _NUMBER_CHARACTERS for name in each) for each in changing), default=0)
    most = MAX_TEXT_CHARACTERS // (longest + _EPOCH_CHARACTERS)
    if len(rule.rungs(epochs)) > most:
        message = (
            f"found a comparison after each of {len(rule.rungs(epochs))} epochs; a retraining repeats up to {most}, as "
            f"more may not fit in a param of MLflow; give interval: {math.ceil(epochs / (most + 1))}, or write "
            "confirm: {top: 0}"
        )
        faults.at_key(("early_terminate",), message)


def _find_confirm_faults(draft: Mapping[str, Any], arms: tuple[Arm, ...], faults: Faults) -> None:
    """Faults of a race without a rival, and of defaults that cannot be trained."""
    confirm = draft.get("confirm")
    if confirm is None:
        return
    if confirm.race and not draft.get("compare", ()) and "compare" in draft:
        faults.at_value(
            ("confirm", "race"), "found without compare, so that there is one arm, and none to drop; remove it"
        )
    for arm in arms if confirm.defaults else ():
        try:
            build_default(arm)
        except ConfigError as error:
            why = "; ".join(f"{fault.parameter} {fault.message}" for fault in error.faults)
            message = f"{arm.name} cannot be trained with its defaults ({why}); remove it, or fix these parameters"
            faults.at_value(("confirm", "defaults"), message)


def _find_choosing(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of a sweep that evaluates on the test images and would choose by them."""
    why = "with parameters.evaluate_on: test, under which the test images would choose"
    method = draft.get("method")
    if method is not None and not METHODS[method].is_exhaustive:
        faults.at_value(("method",), f"found {method} {why}; allowed: grid")
    if draft.get("early_terminate") is not None:
        message = f"found {why} what is stopped; remove it"
        faults.at_key(("early_terminate",), message)
    if draft.get("floor") is not None:
        faults.at_key(("floor",), f"found {why} what is stopped; remove it")
    confirm = draft.get("confirm")
    if confirm is not None and confirm.top:
        path = ("confirm", "top") if faults.find(("confirm", "top")) else ("confirm",)
        faults.at_key(path, f"found {confirm.top} {why} what is retrained; write confirm: {{top: 0}}")
