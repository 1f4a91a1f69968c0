"""What a submitted sweep's job makes of its order, without a cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sweeps.environment import describe_versions

FILE = "name: '{files}'\nmethod: random\nbudget: {trials: 2}\nparameters: {lr: {min: 0.1, max: 0.2}}\n"


def test_only_the_file_is_read_as_a_path_and_no_file_as_a_library(tmp_path: Path) -> None:
    arguments = ["validate", "{files}/{files}.yaml", "--set", "description='see {files}/x'"]
    order = {"versions": describe_versions(), "files": {"{files}.yaml": FILE}, "arguments": arguments}
    order["tracking"] = {"uri": "", "needs": [], "file": ""}
    for library in ("json", "tempfile", "numpy", "typer"):  # of the user's, and not to be run
        (tmp_path / f"{library}.py").write_text("raise SystemExit('run in place of the library')\n")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.cli.job"],
        cwd=tmp_path,
        env={**os.environ, "SWEEPS_ORDER": json.dumps(order), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "description: see {files}/x" in done.stdout
