"""The browser in which pages are tested, opened once for each file of tests."""

from __future__ import annotations

import shutil

import pytest
from support.pages import BROWSERS, FLAGS
from support.studies import know_noise, synthetic

from skexplore.report.search import write_report


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all tests: a process of its own for each would compile plotly.js anew."""
    return browser.new_page()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The report of the study that most tests look at, written once."""
    folder = tmp_path_factory.mktemp("usual")
    with pytest.MonkeyPatch.context() as patch:
        know_noise(patch)
        write_report(synthetic(), folder)
    return folder


@pytest.fixture
def visit(tab, usual, tmp_path):
    """Write the report of a study and open it; afterwards no error and no request may have been seen."""
    troubles = []
    listeners = {
        "console": lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None,
        "pageerror": lambda error: troubles.append(str(error)),
        "dialog": lambda dialog: (troubles.append(dialog.message), dialog.dismiss()),
        "request": lambda r: (
            None if r.url.startswith(("file://", "data:", "blob:")) else troubles.append(r.url)
        ),
    }

    def open_page(study, width=1000, scheme="light", beside=()):
        folder = tmp_path if beside or study != synthetic() else usual
        if folder == tmp_path:
            write_report(study, folder, beside)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        tab.mouse.move(0, 0)  # not where the test before left it
        tab.goto((folder / "index.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        return tab

    for event, listener in listeners.items():
        tab.on(event, listener)
    yield open_page
    tab.wait_for_timeout(100)
    tab.goto("about:blank")  # what is left of the page cannot reach the next test
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert troubles == []
