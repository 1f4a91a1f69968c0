"""What a trial costs the driver does not grow with the trials behind it: counted in instructions, not in seconds."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from played_trials import PlayedTune, build_growing_sweep

NUM_COUNTED = 24
FEW, MANY = 60, 600


def count_instructions(tune: PlayedTune, num_trials: int) -> int:
    """Python instructions per trial, of this project's code alone, while so many more trials are played."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if "site-packages" in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        tune.run(num_trials)
    finally:
        sys.settrace(before)
    return count // num_trials


@pytest.mark.parametrize(
    ("method", "rule"),
    [("random", "none"), ("random", "asha"), ("sobol", "hyperband"), ("random", "median"), ("grid", "asha_promotion")],
)
def test_a_trial_costs_the_driver_no_more_when_there_are_ten_times_as_many(
    tmp_path: Path, method: str, rule: str
) -> None:
    tune = PlayedTune(build_growing_sweep(tmp_path, method, rule, 2 * MANY))
    tune.run(FEW)
    few = count_instructions(tune, NUM_COUNTED)
    tune.run(MANY)
    assert count_instructions(tune, NUM_COUNTED) < 1.25 * few
