from __future__ import annotations

from tracking.statistics.verdict import Verdict


def test_every_verdict_has_its_reverse() -> None:
    assert {verdict: verdict.reversed for verdict in Verdict} == {
        Verdict.BETTER: Verdict.WORSE,
        Verdict.WORSE: Verdict.BETTER,
        Verdict.TIE: Verdict.TIE,
        Verdict.NOT_ENOUGH_SEEDS: Verdict.NOT_ENOUGH_SEEDS,
        Verdict.NOT_ENOUGH_TRIALS: Verdict.NOT_ENOUGH_TRIALS,
    }
