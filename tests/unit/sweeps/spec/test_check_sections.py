from pathlib import Path

import pytest

from sweeps.errors import SpecError
from sweeps.spec import load_spec


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
