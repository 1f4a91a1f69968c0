"""The table of early-stopping rules, and those of a sweep: one for each arm, so that arms never compete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.stopping.asha import Asha, Rungs
from sweeps.stopping.hyperband import Brackets, Hyperband
from sweeps.stopping.median import Median, MedianRule
from sweeps.stopping.pbt import Pbt, PbtRule, mutate
from sweeps.stopping.promotion import AshaPromotion, PromotionRungs
from sweeps.stopping.rule import NoRule, Rule, RuleSection
from sweeps.trials.seeds import derive_seed
from trainer.config import Value

EarlyTerminate = Asha | AshaPromotion | Hyperband | Median | Pbt


@dataclass(frozen=True)
class RuleContext:
    """What a rule has to know of an arm's search.

    Attributes:
        num_epochs: Of a trial.
        num_trials: Of the arm; None where only a budget ends the search.
        seed: Of what the rule draws.
    """

    num_epochs: int
    num_trials: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class RuleRow:
    """One way to stop trials early: a row of the table.

    Attributes:
        name: As `early_terminate.type` in a sweep file.
        description: One line.
        source: Paper.
        section: Model of the section of the sweep file.
        build: Makes the rule of one arm, from the section and what is known of the arm's search.
        pauses: Whether trials are paused, and go on later.
        mutate: Changes the settings of a donor that a trial goes on with; None where trials keep their own. Its
            arguments are those of `pbt.mutate`.
    """

    name: str
    description: str
    source: str
    section: type[RuleSection]
    build: Callable[[Any, RuleContext], Rule]
    pauses: bool = False
    mutate: Callable[..., dict[str, Value]] | None = None

    @property
    def changes_settings(self) -> bool:
        """Whether trials go on with other settings than they began with."""
        return self.mutate is not None


RULES: Mapping[str, RuleRow] = {
    row.name: row
    for row in (
        RuleRow(
            "asha",
            "After min_iter, eta * min_iter, ... epochs the best 1/eta of those that have come so far go on",
            "Li et al. 2020, https://arxiv.org/abs/1810.05934, in its stopping variant",
            Asha,
            lambda section, search: Rungs(section.rungs(search.num_epochs), section.eta),
        ),
        RuleRow(
            "asha_promotion",
            "Trials pause at each rung; the best 1/eta go on, also when they come to be among them later",
            "Li et al. 2020, https://arxiv.org/abs/1810.05934, algorithm 2",
            AshaPromotion,
            lambda section, search: PromotionRungs(section.rungs(search.num_epochs), section.eta),
            pauses=True,
        ),
        RuleRow(
            "hyperband",
            "W&B's, at the rungs of min_iter or of max_iter and s; with brackets of which each begins a rung later",
            "Li et al. 2018, https://arxiv.org/abs/1603.06560; W&B's sweep configuration",
            Hyperband,
            lambda section, search: Brackets(
                section.rungs(search.num_epochs), section.eta, section.brackets, strict=section.strict
            ),
        ),
        RuleRow(
            "median",
            "Stops what is behind the median of the others' running means, from min_iter on",
            "Golovin et al. 2017, https://doi.org/10.1145/3097983.3098043, section 3.2.1",
            Median,
            lambda section, _: MedianRule(section.min_iter, section.min_trials),
        ),
        RuleRow(
            "pbt",
            "Population based training: every interval epochs the worst go on as changed copies of the best",
            "Jaderberg et al. 2017, https://arxiv.org/abs/1711.09846",
            Pbt,
            lambda section, search: PbtRule(
                section.rungs(search.num_epochs), search.num_trials or 0, section.quantile, search.seed
            ),
            pauses=True,
            mutate=mutate,
        ),
    )
}


class ArmRules:
    """The rule of every arm.

    Args:
        arms: Names.
        section: Of the sweep file; None to stop nothing.
        num_epochs: Of a trial.
        num_trials: RuleContext trials of each arm, None where only a budget ends the search; None for all alike.
        seed: Of what the rules draw.
    """

    def __init__(
        self,
        arms: tuple[str, ...],
        section: EarlyTerminate | None,
        num_epochs: int,
        num_trials: Mapping[str, int | None] | None = None,
        seed: int = 0,
    ) -> None:
        row = None if section is None else RULES[section.type]
        self._rules = {
            arm: NoRule()
            if row is None
            else row.build(
                section, RuleContext(num_epochs, (num_trials or {}).get(arm), derive_seed(seed, "rule", arm))
            )
            for arm in arms
        }

    def __getitem__(self, arm: str) -> Rule:
        return self._rules[arm]
