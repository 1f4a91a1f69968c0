from types import SimpleNamespace
from typing import Any, cast

import pytest
from play_search import SWEEP

from sweeps.driver.history import Driver, History, MoreRetrainings, add_retrainings, count_extensions
from sweeps.errors import BadUsage, SpecError
from sweeps.spec import Confirm, SweepSpec, load_spec_text


def build(confirm: str) -> SweepSpec:
    return load_spec_text(SWEEP.replace("METHOD", "random").replace("{top: 1, seeds: 2}", confirm), "test")


def history(*, is_completed: bool = True) -> History:
    begun = cast("Any", SimpleNamespace(sweep_id="s-1"))
    return History(begun, begun, has_retrained=True, is_completed=is_completed)


@pytest.mark.parametrize(
    ("before", "more", "after"),
    [
        ("{top: 1, seeds: 2}", MoreRetrainings(), (1, 10)),
        ("{top: 0}", MoreRetrainings(), (1, 10)),
        ("{top: 0}", MoreRetrainings(seeds=3), (1, 3)),
        ("{top: 1, seeds: 2}", MoreRetrainings(seeds=5), (1, 5)),
        ("{top: 1, seeds: 2}", MoreRetrainings(top=3), (3, 2)),
        ("{top: 2, seeds: 12}", MoreRetrainings(seeds=20, top=3), (3, 20)),
    ],
)
def test_more_is_added_and_the_rest_stays(before: str, more: MoreRetrainings, after: tuple[int, int]) -> None:
    spec = build(before)
    added = add_retrainings(spec, more, history())
    assert (added.confirm.top, added.confirm.seeds) == after
    assert added.model_copy(update={"confirm": spec.confirm}) == spec


@pytest.mark.parametrize(
    ("before", "more", "message"),
    [
        ("{top: 1, seeds: 12}", MoreRetrainings(), r"with 12 seeds already; ask for more, .*--seeds 24"),
        ("{top: 1, seeds: 4}", MoreRetrainings(seeds=3), r"--seeds 3 is less than it has \(4\)"),
        ("{top: 2, seeds: 4}", MoreRetrainings(top=1), r"--top 1 is less than it has \(2\)"),
    ],
)
def test_what_would_add_nothing_is_refused(before: str, more: MoreRetrainings, message: str) -> None:
    with pytest.raises(BadUsage, match=message):
        add_retrainings(build(before), more, history())


def test_what_was_cut_off_goes_on_with_the_same_numbers() -> None:
    spec = build("{top: 1, seeds: 12}")
    assert add_retrainings(spec, MoreRetrainings(), history(is_completed=False)).confirm == spec.confirm


def test_more_than_a_file_could_ask_for_is_refused() -> None:
    with pytest.raises(SpecError, match=r"confirm\.seeds=501: found 501 for each of 2; allowed: 1000 retrainings"):
        add_retrainings(build("{top: 1, seeds: 2}"), MoreRetrainings(seeds=501, top=2), history())


@pytest.mark.parametrize(
    ("seeds", "count"),
    [((1,), 0), ((1, 10), 0), ((5, 10), 1), ((6, 6, 10), 1), ((6, 10, 10, 16), 2), ((4, 6, 12), 1)],
)
def test_each_addition_after_a_possible_verdict_counts(seeds: tuple[int, ...], count: int) -> None:
    assert count_extensions(Driver(Confirm(seeds=each)) for each in seeds) == count


def test_a_sweep_that_confirmed_nothing_had_no_verdict() -> None:
    assert count_extensions([Driver(Confirm(top=0, seeds=10)), Driver(Confirm(top=1, seeds=10))]) == 0


def test_a_larger_search_after_a_verdict_is_another_look() -> None:
    ten, three = Confirm(seeds=10), Confirm(seeds=3)
    assert count_extensions([Driver(ten), Driver(ten, extends=True)]) == 1
    assert count_extensions([Driver(ten), Driver(ten, extends=True), Driver(ten), Driver(ten, extends=True)]) == 2
    assert count_extensions([Driver(three), Driver(three, extends=True)]) == 0, "three seeds allow no verdict"
