from pathlib import Path

import pytest

from sweeps.errors import SpecError
from sweeps.spec import Confirm, Select, load_spec


def find_faults(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    return [f"{fault.line}:{fault.column} {fault.key_path}: {fault.message}" for fault in caught.value.faults]


def test_two_arms_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wordy.py").write_text(
        "import torch\n"
        "class Opt(torch.optim.SGD):\n"
        "    def __init__(self, params, lr=0.1, first='x', second='y'):\n"
        "        super().__init__(params, lr)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    parameters = "{optimizer: wordy:Opt, first: {values: ['a, b', a]}, second: {values: [c, 'b, c']}}"
    found = find_faults(tmp_path, f"method: grid\ncompare: [first, second]\nparameters: {parameters}\n")
    assert found == ["2:10 compare: makes 2 arms of one name, 'a, b, c'; write their values in other words"]


def test_more_arms_than_can_be_compared_are_refused(tmp_path: Path) -> None:
    values = ", ".join(str(0.001 * (1 + number)) for number in range(101))
    text = f"method: grid\ncompare: [lr, momentum]\nparameters: {{lr: {{values: [{values}]}}, optimizer: momentum, "
    text += f"momentum: {{values: [{', '.join(str(0.01 * number) for number in range(10))}]}}}}\n"
    assert find_faults(tmp_path, text) == ["2:10 compare: makes 1,010 arms; allowed: 1,000; give fewer values"]


def test_texts_that_mlflow_would_cut_are_refused(tmp_path: Path) -> None:
    text = "method: grid\nparameters:\n  dataset: imagefolder\n  data_dir: " + "x" * 4097 + "\n"
    assert find_faults(tmp_path, text) == [
        "4:13 parameters.data_dir: found 4,097 characters; allowed: 4,096; write a shorter text"
    ]


def test_more_retrainings_than_anyone_waits_for_are_refused(tmp_path: Path) -> None:
    text = "method: grid\nparameters: {lr: 0.1}\nconfirm: {top: 100, seeds: 11}\n"
    assert find_faults(tmp_path, text) == [
        "3:28 confirm.seeds: found 11 for each of 100; allowed: 1000 retrainings of an arm in all"
    ]


ARMS = "method: grid\ncompare: optimizer\nparameters: {optimizer: {values: [sgd, adam]}}\nconfirm: "
ONE = "method: grid\nparameters: {lr: {values: [0.1, 0.2]}}\nconfirm: "


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (f"{ARMS}{{seeds: 4, race: true}}", [
            "4:27 confirm.race: never drops an arm with 4 seeds: its first look is after 4; give seeds: 5 or more, or "
            "remove it"
        ]),
        (f"{ONE}{{seeds: 6, race: true}}", [
            "3:27 confirm.race: found without compare, so that there is one arm, and none to drop; remove it"
        ]),
        (f"{ARMS}{{top: 0, defaults: true}}", [
            "4:29 confirm.defaults: does nothing with top: 0, which retrains none; remove it, or give top: 1"
        ]),
        (f"{ARMS}{{top: 2, select: {{top: 2}}}}", [
            "4:27 confirm.select: chooses 2 of 2; give it a top above confirm.top, or remove it"
        ]),
        (f"{ARMS}{{select: {{top: 1, sedes: 2}}}}", [
            "4:25 confirm.select.top: found 1; allowed: a whole number from 2 to 1000; choose a greater value",
            "4:28 confirm.select.sedes: unknown key; did you mean 'seeds'?",
        ]),
        (f"{ARMS}{{select: 3}}", [
            "4:19 confirm.select: found the number 3; allowed: a mapping with some of top, seeds"
        ]),
        (f"{ARMS}{{margin: 0}}", [
            "4:19 confirm.margin: found 0; allowed: a number above 0 and to 100; choose a greater value"
        ]),
        (f"{ARMS}{{select: {{top: 600, seeds: 2}}}}", [
            "4:19 confirm.select: trains 600 for 2 seeds each; allowed: 1000 trials in all"
        ]),
    ],
)  # fmt: skip
def test_a_confirm_stage_that_could_not_do_what_it_says_is_refused(
    tmp_path: Path, text: str, faults: list[str]
) -> None:
    assert find_faults(tmp_path, text) == faults


def test_defaults_that_cannot_be_trained_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text(
        "import torch\n"
        "class Opt(torch.optim.SGD):\n"
        "    def __init__(self, params, lr):\n"
        "        super().__init__(params, lr)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    arms = "{choices: {'needy:Opt': {lr: {values: [0.1, 0.2]}}, adam: {lr: {values: [0.1, 0.2]}}}}"
    text = f"method: grid\ncompare: optimizer\nparameters: {{optimizer: {arms}}}\nconfirm: {{defaults: true}}\n"
    (found,) = find_faults(tmp_path, text)
    assert found.startswith("4:21 confirm.defaults: needy:Opt cannot be trained with its defaults (lr missing")


def test_a_whole_confirm_stage_is_read(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    section = "{top: 2, seeds: 6, select: {top: 5, seeds: 4}, defaults: true, race: true, margin: 1}"
    file.write_text(f"{ARMS}{section}\n")
    confirm = load_spec(file).confirm
    assert confirm == Confirm(top=2, seeds=6, select=Select(top=5, seeds=4), defaults=True, race=True, margin=1)
    file.write_text(f"{ARMS}{{select: null, seeds: 6}}\n")
    assert load_spec(file).confirm == Confirm(seeds=6)
