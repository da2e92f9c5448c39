"""How long the report of 20,000 trials takes to write, how large its page is, how soon a browser answers.

Of a filter: until the table has it; the plots follow.

    python tests/bench_report.py [--out reports/bench/report.json]

The trials are made up (errors) but for their costs and identities. Nothing here gates a test.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from support.pages import BROWSERS, FLAGS
from support.studies import many

from skexplore.report.search import write_report

TRIALS, REPEATS = 20_000, 7
# milliseconds from an action until the page was painted again
TIMED = """async ([action, argument]) => {
  const paint = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const box = document.getElementById("filter-text");
  const actions = {
    filter: () => { box.value = argument; box.dispatchEvent(new Event("input")); },
    sort: () => document.querySelector("[data-column=val_error]").click(),
    click: () => document.querySelectorAll("#all-trials tbody tr")[argument].click(),
  };
  const start = performance.now();
  actions[action]();
  await paint();
  return performance.now() - start;
}"""


def answers(page: Page) -> dict[str, float]:
    """Return the median milliseconds of each kind of action."""
    asked = {"filter": ["k5", "k3 over budget", "k7g128", ""], "sort": [None], "click": [3, 50, 90]}
    found = {}
    for action, arguments in asked.items():
        times = []
        for each in arguments * REPEATS:
            times.append(page.evaluate(TIMED, [action, each]))
            page.wait_for_timeout(1000)  # for the plots, as a reader does
        found[f"{action}_ms"] = round(statistics.median(times), 1)
        found[f"{action}_ms_worst"] = round(max(times), 1)
    return found


def main() -> None:
    """Measure, print, and write what was measured if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    study = many(TRIALS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        write_report(study, Path(folder))
        found: dict[str, float] = {"trials": TRIALS, "write_s": round(time.perf_counter() - start, 1)}
        found["page_mb"] = round((Path(folder) / "index.html").stat().st_size / 1e6, 2)
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto((Path(folder) / "index.html").as_uri())
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        found["open_s"] = round(time.perf_counter() - start, 1)
        found |= answers(page)
        browser.close()
    print(json.dumps(found, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
