from __future__ import annotations

from build_table import build_table
from plain_table import plain_table, search_trial

from tracking.plots.plots import build_plots, build_sections


def test_each_plot_has_a_key_of_its_own_and_says_how_to_read_it() -> None:
    plots = build_plots(build_table())

    assert len({plot.key for plot in plots}) == len(plots)
    assert all(plot.caption for plot in plots)


def test_what_cannot_be_drawn_yet_is_named_in_its_section_with_a_reason() -> None:
    sections = {section.title: section for section in build_sections(plain_table(search_trial("adam", 0, 0.1, 0.2)))}

    assert [each.title for each in sections["What a search of another size would find"].missing] == [
        "Expected best after a search of each size",
        "Epochs to the target",
        "Seconds to the target",
    ]
    assert all(each.reason.endswith(".") for section in sections.values() for each in section.missing)


def test_a_sweep_without_trials_has_no_section() -> None:
    assert build_sections(build_table(trials=())) == ()
