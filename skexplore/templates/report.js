"use strict";
// Draws each figure from the JSON beside it; colours come from the style sheet, for light, dark and print.
(() => {
  const LIGHT_ACCENT = /#0072B2/g; // too dim on the dark page
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };
  const narrow = matchMedia("(max-width: 599px)");

  const draw = (plot) => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const text = document.getElementById(plot.id + "-data").textContent;
    const { data, layout } = JSON.parse(text.replace(LIGHT_ACCENT, color("--accent")));
    const size = narrow.matches ? 11 : 13;
    layout.font = { ...layout.font, color: color("--ink"), size };
    layout.hoverlabel = {
      ...layout.hoverlabel,
      bgcolor: color("--panel"),
      bordercolor: color("--rule"),
      font: { color: color("--ink"), size: narrow.matches ? 11 : 12 },
    };
    if (narrow.matches) {
      layout.margin = { ...layout.margin, l: 40, r: 6 };
      layout.xaxis.title.font.size = layout.yaxis.title.font.size = size;
      layout.xaxis.nticks = 5;
    }
    return Plotly.react(plot, data, layout, config);
  };
  const drawAll = () => document.querySelectorAll(".plot").forEach(draw);

  drawAll();
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", drawAll);
  }
  narrow.addEventListener("change", drawAll);
})();
