"""The words of other tools lead to what they mean here, and to nothing where that cannot stand."""

import pytest

from sweeps.search.methods import METHODS
from sweeps.space.parameters import DISTRIBUTIONS
from sweeps.spec.models import Budget, Metric, Resources, SweepSpec
from sweeps.spec.parse import PARAMETER_KEYS
from sweeps.stopping.rules import RULES
from sweeps.trials.objectives import METRICS
from trainer.config import TABLES, known_names
from trainer.tables.elsewhere import ELSEWHERE, list_spellings
from trainer.tables.settings import count_edits, did_you_mean, find_nearest

KEYS = (*SweepSpec.model_fields, *Budget.model_fields, *Metric.model_fields, *Resources.model_fields, *PARAMETER_KEYS)
ROWS = {table: [name for row in rows.values() for name in (row.name, *row.aliases)] for table, rows in TABLES.items()}
RULE_KEYS = [key for rule in RULES.values() for key in rule.section.model_fields]


def test_every_meaning_is_a_name_of_ours() -> None:
    ours = {*known_names(), *KEYS, *RULE_KEYS, *DISTRIBUTIONS, *METHODS, *RULES, *METRICS}
    ours |= {name for names in ROWS.values() for name in names}
    assert {meaning for meanings in ELSEWHERE.values() for meaning in meanings} <= ours


def test_no_word_of_another_tool_has_two_meanings_in_one_place() -> None:
    for names in (known_names(), SweepSpec.model_fields, DISTRIBUTIONS, METHODS, RULES, METRICS, *ROWS.values()):
        for word, meanings in ELSEWHERE.items():
            assert len(set(meanings) & set(names)) <= 1, word


@pytest.mark.parametrize(
    ("word", "names", "meaning"),
    [
        ("learning_rate", known_names(), "lr"),
        ("optimizer.learning-rate", known_names(), "lr"),
        ("LearningRate", known_names(), "lr"),
        ("loguniform", DISTRIBUTIONS, "log_uniform_values"),
        ("tune.loguniform", DISTRIBUTIONS, "log_uniform_values"),
        ("none", ROWS["schedule"], "constant"),
        ("torch.optim.lr_scheduler.CosineAnnealingLR", ROWS["schedule"], "cosine"),
        ("ReduceLROnPlateau", ROWS["schedule"], "reduce_on_plateau"),
        ("CategoricalCrossentropy", ROWS["loss"], "cross_entropy"),
        ("torch.optim.AdamW", ROWS["optimizer"], "adamw"),
        ("TPESampler", METHODS, "bayes"),
        ("grace_period", RULES["asha"].section.model_fields, "min_iter"),
        ("val_acc", METRICS, "val_accuracy"),
        ("sweep", SweepSpec.model_fields, None),
        ("parameter", SweepSpec.model_fields, "parameters"),
        ("none", ROWS["optimizer"], None),
        ("mim", PARAMETER_KEYS, "min"),
        ("weigth_decay", known_names(), "weight_decay"),
        ("xy", known_names(), None),
    ],
)
def test_a_word_leads_to_what_it_means(word: str, names: list[str], meaning: str | None) -> None:
    assert find_nearest(word, names) == meaning
    assert did_you_mean(word, names) == (None if meaning is None else f"did you mean {meaning!r}?")


def test_letters_that_are_swapped_count_once() -> None:
    assert [count_edits(*pair) for pair in (("mim", "min"), ("hihg", "high"), ("", "abc"), ("lr", "lr"))] == [
        1,
        1,
        3,
        0,
    ]
    assert list_spellings("tune.LogUniform")[-1] == "log_uniform"
