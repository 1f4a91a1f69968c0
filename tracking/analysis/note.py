"""What the run of a sweep says in MLflow of its outcome: a note, and tags. Pure."""

from __future__ import annotations

import json

from tracking import names
from tracking.analysis.findings import build_cautions, build_headline, build_verdict
from tracking.analysis.leaderboard import build_leaderboard, escape_markdown, format_markdown
from tracking.table import SweepTable


def build_note(table: SweepTable) -> str:
    """Verdict, warnings and leaderboard as Markdown, in which nothing that a user wrote is Markdown."""
    rows = build_leaderboard(table)
    headline, verdict = (escape_markdown(text) for text in (build_headline(table, rows), build_verdict(table, rows)))
    warnings = [f"- {escape_markdown(text)}\n" for text in (*table.notices, *build_cautions(table, rows))]
    parts = [f"**{headline}.** {verdict}".rstrip() + "\n", "".join(warnings), format_markdown(rows) if rows else ""]
    parts.append(f"The whole report is `{names.REPORT_ARTIFACT}` among the artifacts.\n")
    return "\n".join(filter(None, parts))


def build_verdict_tags(table: SweepTable) -> dict[str, str]:
    """The verdict in one sentence, its grounds, and the warnings as a JSON list."""
    rows = build_leaderboard(table)
    return {
        names.SWEEP_HEADLINE: build_headline(table, rows),
        names.SWEEP_VERDICT: build_verdict(table, rows),
        names.SWEEP_WARNINGS: json.dumps(build_cautions(table, rows)),
    }
