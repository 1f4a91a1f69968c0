from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from sweeps.errors import BadUsage
from sweeps.home import Home
from sweeps.remote.loading import Recorded, load_resolved_spec

OWN = "method: random\nbudget: {trials: 1}\nparameters: {optimizer: 'gone_away:Own', lr: {min: 0.1, max: 0.2}}\n"


def test_code_that_is_not_here_is_named_and_no_file_is_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracking.store.queries.load_text", lambda *_: (OWN, ""))
    home = Home(tmp_path)
    recorded = Recorded("s-1", home, home.folder("s-1"), cast("Any", None), 0)
    with pytest.raises(BadUsage) as caught:
        load_resolved_spec(recorded)
    head, fault = str(caught.value).splitlines()
    assert head == "s-1: the file that says what it ran as cannot be read here"
    assert "found 'gone_away:Own', which cannot be imported (ModuleNotFoundError" in fault
    assert "run where its module can be found" in fault
