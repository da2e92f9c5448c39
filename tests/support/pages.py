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


# what the plot of the front draws of single trials
DRAWN = """() => document.getElementById("pareto")._fullData.filter(t => ["front", "complete"].includes(t.meta)).map(
  t => ({meta: t.meta, x: [...t.x], y: [...t.y], positions: [...t.customdata], opacity: t.marker.opacity,
         color: t.marker.color, bars: t.error_y.visible === false ? null : [t.error_y.array, t.error_y.arrayminus]}))"""


def drag(page, plot, begin, end):
    """Drag over a plot between two places, in pixels from the left and the top of its axes; return where these are."""
    page.locator(f"#{plot}").scroll_into_view_if_needed()
    box = page.locator(f"#{plot} .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + begin[0], box["y"] + begin[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=8)
    page.mouse.up()
    return box
