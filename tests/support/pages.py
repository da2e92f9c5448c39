"""A report's page in a headless browser: which one, and what tests do and see there."""

from __future__ import annotations

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

# where a trial, given by its position among the records, stands on the screen
SPOT = """([plotId, position]) => {
  const plot = document.getElementById(plotId);
  const trace = plot._fullData.find((t) => (t.customdata || []).includes(position));
  const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
  const i = trace.customdata.indexOf(position), { xaxis, yaxis } = plot._fullLayout;
  return [box.x + xaxis.d2p(trace.x[i]), box.y + yaxis.d2p(trace.y[i])];
}"""


def point_at(page, plot, position, *, click=False):
    page.locator(f"#{plot}").scroll_into_view_if_needed()
    spot = page.evaluate(SPOT, [plot, position])
    page.mouse.move(*spot)
    if click:
        page.mouse.down()
        page.mouse.up()


def rows(page):
    return page.eval_on_selector_all(
        "#all-trials tbody tr", "all => all.map(r => Number(r.dataset.position))"
    )


def pasted(page):
    """Return the clipboard by the one way that is open to every page: a paste."""
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    text = page.locator("#paste").input_value()
    page.evaluate("document.getElementById('paste').remove()")
    return text
