"""The command line's printing and exit codes; whole runs are in tests/cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[4] / "sweeps" / "examples"


def sweeps(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeps.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        input=stdin,
    )


@pytest.mark.parametrize("arguments", [("--help",), ("validate", str(EXAMPLES / "quickstart.yaml")), ("schema",)])
def test_light_commands_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys; from sweeps.cli.app import app\n"
        f"try: app({list(arguments)!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'plotly', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_validate_shows_the_resolved_file_and_what_each_arm_tunes() -> None:
    done = sweeps("validate", str(EXAMPLES / "quickstart.yaml"), "--set", "budget.trials_per_arm=2")
    assert done.returncode == 0, done.stderr
    assert "trials_per_arm: 2" in done.stdout
    assert "adam: 2 trials + 1 retrained; tunes" in done.stdout


def test_validate_as_json() -> None:
    done = sweeps("validate", str(EXAMPLES / "practice.yaml"), "--json")
    facts = json.loads(done.stdout)
    assert [arm["arm"] for arm in facts["arms"]] == ["sgd", "momentum", "rmsprop", "adam"]
    assert {arm["trials"] for arm in facts["arms"]} == {24}  # 4 learning rates x 3 batch sizes x 2 initialisers


def test_faults_of_a_file_are_all_printed_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("budget: {trials: 2}\nparameters:\n  lr: {mim: 1, max: 2}\n  epoch: 3\n")
    done = sweeps("validate", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bad.yaml:3:")
    assert "did you mean 'min'" in lines[0]
    assert any(line.startswith("bad.yaml:4:") and "did you mean 'epochs'" in line for line in lines)


def test_a_file_from_standard_input() -> None:
    done = sweeps("validate", "-", stdin="{name: x, budget: {trials: 2}, parameters: {lr: {min: 0.1, max: 0.2}}}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [("frobnicate",), ("run",), ("validate", "a", "b"), ("ui", "--port", "0")])
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    done = sweeps(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_report_of_an_unknown_sweep_says_which_there_are(tmp_path: Path) -> None:
    done = sweeps("report", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "the latest: none" in done.stderr


def test_list_before_the_first_sweep(tmp_path: Path) -> None:
    done = sweeps("list", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "no sweeps yet; start one with `sweeps run FILE`")
    assert not (tmp_path / "sweep-results").exists()


LIBRARIES = ("mlflow", "ray", "torch", "optuna", "pandas", "plotly", "sqlalchemy", "pydantic", "ruamel", "numpy")
LIBRARIES += ("typer", "rich", "json", "tempfile", "sqlite3")
STARTS = ([str(Path(sys.executable).with_name("sweeps"))], [sys.executable, "-m", "sweeps.cli"])


@pytest.mark.parametrize("start", STARTS, ids=["script", "module"])
@pytest.mark.parametrize("arguments", [("list",), ("validate", "mine.yaml"), ("status", "no-such-sweep"), ("schema",)])
def test_a_file_called_like_a_library_is_not_run_in_its_place(
    start: list[str], arguments: tuple[str, ...], tmp_path: Path
) -> None:
    for library in LIBRARIES:
        (tmp_path / f"{library}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({library!r})\n")
    (tmp_path / "mine.py").write_text(
        f"import torch\nopen({str(tmp_path / 'mine-ran')!r}, 'w')\n\nclass Mine(torch.optim.SGD):\n"
        "    def __init__(self, params, lr=0.1):\n        super().__init__(params, lr=lr)\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "method: random\nbudget: {trials: 2}\nparameters:\n  optimizer: mine:Mine\n  lr: {min: 0.1, max: 0.2}\n"
    )
    environment = {"PATH": os.environ["PATH"], "SWEEPS_HOME": str(tmp_path / "results")}
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [*start, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if arguments[0] == "status" else 0), done.stderr
    assert (tmp_path / "mine-ran").exists() == (arguments[0] == "validate")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run",), "give a sweep file, or `--extend ID` to go on with a sweep that has ended"),
        (("run", "x.yaml", "--extend", "s-1"), "--extend s-1 goes on with what that sweep ran as; leave FILE out"),
        (("run", "--extend", "s-1", "--dry-run", "--measure"), "leave --dry-run, --measure out"),
        (("run", "--extend", "s-1"), "--extend s-1: say what gets larger, for example --set budget.trials_per_arm=24"),
    ],
)
def test_a_sweep_is_extended_by_its_id_and_what_gets_larger(arguments: tuple[str, ...], said: str) -> None:
    done = sweeps(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
