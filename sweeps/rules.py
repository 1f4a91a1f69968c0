"""The table of early-stopping rules, and those of a sweep: one for each arm, so that arms never compete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.halving import Asha, AshaPromotion, Brackets, Hyperband, PromotionRungs, Rungs
from sweeps.median import Median, MedianRule
from sweeps.verdicts import NoRule, Rule

if TYPE_CHECKING:
    from sweeps.distributions import Frozen

EarlyTerminate = Asha | AshaPromotion | Hyperband | Median


@dataclass(frozen=True)
class RuleRow:
    """One way to stop trials early: a row of the table.

    Attributes:
        name: As `early_terminate.type` in a sweep file.
        description: One line.
        source: Paper.
        section: Model of the section of the sweep file.
        build: Makes the rule of one arm, from the section and the epochs of a trial.
        pauses: Whether trials are paused, and go on later.
    """

    name: str
    description: str
    source: str
    section: type[Frozen]
    build: Callable[[Any, int], Rule]
    pauses: bool = False


RULES: Mapping[str, RuleRow] = {
    row.name: row
    for row in (
        RuleRow(
            "asha",
            "After min_iter, eta * min_iter, ... epochs the best 1/eta of those that have come so far go on",
            "Li et al. 2020, https://arxiv.org/abs/1810.05934, in its stopping variant",
            Asha,
            lambda section, epochs: Rungs(section.rungs(epochs), section.eta),
        ),
        RuleRow(
            "asha_promotion",
            "Trials pause at each rung; the best 1/eta go on, also when they come to be among them later",
            "Li et al. 2020, https://arxiv.org/abs/1810.05934, algorithm 2",
            AshaPromotion,
            lambda section, epochs: PromotionRungs(section.rungs(epochs), section.eta),
            pauses=True,
        ),
        RuleRow(
            "hyperband",
            "W&B's, at the rungs of min_iter or of max_iter and s; with brackets of which each begins a rung later",
            "Li et al. 2018, https://arxiv.org/abs/1603.06560; W&B's sweep configuration",
            Hyperband,
            lambda section, epochs: Brackets(
                section.rungs(epochs), section.eta, section.brackets, strict=section.strict
            ),
        ),
        RuleRow(
            "median",
            "Stops what is behind the median of the others' running means, from min_iter on",
            "Golovin et al. 2017, https://doi.org/10.1145/3097983.3098043, section 3.2.1",
            Median,
            lambda section, _: MedianRule(section.min_iter, section.min_trials),
        ),
    )
}


class ArmRules:
    """The rule of every arm.

    Args:
        arms: Names.
        section: Of the sweep file; None to stop nothing.
        num_epochs: Of a trial.
    """

    def __init__(self, arms: tuple[str, ...], section: EarlyTerminate | None, num_epochs: int) -> None:
        row = None if section is None else RULES[section.type]
        self._rules = {arm: NoRule() if row is None else row.build(section, num_epochs) for arm in arms}

    def __getitem__(self, arm: str) -> Rule:
        return self._rules[arm]
