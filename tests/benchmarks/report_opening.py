"""How long does a report take to open? Median of some openings in headless Chromium, each in a new page.

    .venv/bin/python tests/benchmarks/report_opening.py

The first screen is there when its figure is drawn; figures below are drawn as they come into view.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))

from large_table import build_large_table

from tracking.report.write import write_report

NUM_OPENINGS = 7
TRIALS_PER_ARM = (12, 125, 256)  # of four arms
FIRST_FIGURE = "#plot-confirmed .main-svg"


def measure(browser: Browser, file: Path) -> tuple[float, float]:
    """Seconds until the text is there, and until the figure of the first screen is drawn."""
    page = browser.new_page(viewport={"width": 1240, "height": 900})
    started = time.perf_counter()
    page.goto(file.as_uri(), wait_until="domcontentloaded")
    text = time.perf_counter() - started
    page.wait_for_selector(FIRST_FIGURE)
    figure = time.perf_counter() - started
    page.close()
    return text, figure


def main() -> None:
    """Prints a line for each size."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for trials_per_arm in TRIALS_PER_ARM:
            table, file = build_large_table(trials_per_arm), Path(folder) / f"{trials_per_arm}.html"
            write_report(table, file)
            measure(browser, file)  # not counted
            text, figure = zip(*(measure(browser, file) for _ in range(NUM_OPENINGS)), strict=True)
            print(
                f"{len(table.trials):,} trials, {file.stat().st_size / 1e6:.2f} MB: text after "
                f"{statistics.median(text):.2f} s, first screen after {statistics.median(figure):.2f} s "
                f"({min(figure):.2f} to {max(figure):.2f})"
            )
        browser.close()


if __name__ == "__main__":
    main()
