"use strict";
// Draws each figure from the JSON beside it; text colours come from the style sheet, for light, dark and print.
(() => {
  const plots = [...document.querySelectorAll(".plot")];
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };

  const look = () => {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    const small = window.innerWidth < 600;
    return {
      "font.color": value("--ink"),
      "font.size": small ? 11 : 13,
      "hoverlabel.bgcolor": value("--panel"),
      "hoverlabel.bordercolor": value("--rule"),
      "hoverlabel.font.color": value("--ink"),
      "hoverlabel.font.size": small ? 11 : 12,
      "margin.l": small ? 44 : 56,
      "margin.r": small ? 8 : 16,
    };
  };
  const paint = () => plots.forEach((plot) => Plotly.relayout(plot, look()));

  for (const plot of plots) {
    const figure = JSON.parse(document.getElementById(plot.id + "-data").textContent);
    Plotly.newPlot(plot, figure.data, figure.layout, config);
  }
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  matchMedia("(max-width: 599px)").addEventListener("change", paint);
  matchMedia("print").addEventListener("change", paint);
})();
