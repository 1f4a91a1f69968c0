from types import SimpleNamespace
from typing import Any, cast

from tracking import names
from tracking.store.runs import sort_family


def build_run(run_id: str, trial_id: str = "", parent_id: str = "", num_params: int = 0, deleted: bool = False) -> Any:
    tags = {key: text for key, text in ((names.TRIAL_ID, trial_id), (names.PARENT_RUN_ID, parent_id)) if text}
    info = SimpleNamespace(run_id=run_id, lifecycle_stage="deleted" if deleted else "active")
    data = SimpleNamespace(tags=tags, metrics={}, params={str(index): "x" for index in range(num_params)})
    return cast("Any", SimpleNamespace(info=info, data=data))


def test_of_runs_that_are_there_twice_the_ones_in_use_are_kept() -> None:
    runs = [
        build_run("p1"),
        build_run("p2"),
        build_run("a1", "a", "p2"),
        build_run("a2", "a", "p2", num_params=3),
        build_run("b1", "b", "p2"),
        build_run("b2", "b", "p2", num_params=3, deleted=True),
        build_run("c1", "c", "p2", deleted=True),
    ]
    family = sort_family(runs)
    assert family.parent is runs[1]
    assert [run.info.run_id for run in family.children] == ["a2", "b1", "c1"]
    assert [run.info.run_id for run in family.doubles] == ["p1", "a1"]


def test_a_run_that_is_written_to_is_no_double() -> None:
    runs = [build_run("p1"), build_run("a1", "a", "p1"), build_run("a2", "a", "p1", num_params=3)]
    assert [run.info.run_id for run in sort_family(runs, {"p1", "a1"}).doubles] == ["a2"]


def test_a_sweep_that_is_not_there_has_no_runs() -> None:
    family = sort_family([])
    assert (family.parent, family.children, family.doubles) == (None, (), ())
