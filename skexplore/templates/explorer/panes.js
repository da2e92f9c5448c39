// Panes of which one is shown at a time, by buttons: the published tables, and the axes of the course. In the plot of
// the placement the other tables are faint.
const PANES = {}; // by the name of the switch, its panes by their value
for (const pane of document.querySelectorAll("[data-pane]")) {
  PANES[pane.dataset.pane] ??= {};
  PANES[pane.dataset.pane][pane.dataset.value] = pane;
}
const FIRST = Object.fromEntries(Object.entries(PANES).map(([name, panes]) => [name, Object.keys(panes)[0]]));
const SHOWN = { ...FIRST };
const tableOf = (trace) => /^Table (\d+)$/.exec(trace.name || "")?.[1];
const labelled = { mode: "markers+text", textposition: "middle right", textfont: { size: 10 }, cliponaxis: false };
VIEWS.placement = ([traces, layout]) => [
  traces.map((trace) => (!tableOf(trace) ? trace : tableOf(trace) === SHOWN.table ? { ...trace, ...labelled } : { ...trace, opacity: 0.25 })), layout,
];
// learning curves of what the table leaves
VIEWS.curves = ([traces, layout]) => [
  traces.map(({ customdata: at, ...trace }) => ({ ...trace, customdata: at, y: trace.y.map((error, i) => (!at || matching.has(at[i]) ? error : null)) })), layout,
];
const buttonsOf = (name) => document.querySelector(`[data-switch="${name}"]`);
const showPanes = () => {
  for (const [name, panes] of Object.entries(PANES)) {
    for (const [value, pane] of Object.entries(panes)) pane.hidden = value !== SHOWN[name];
    for (const button of buttonsOf(name).children) button.setAttribute("aria-pressed", String(button.dataset.of === SHOWN[name]));
  }
};
for (const [name, panes] of Object.entries(PANES)) {
  buttonsOf(name).replaceChildren(
    ...Object.entries(panes).map(([value, pane]) => {
      const button = Object.assign(element("button", pane.dataset.label), { type: "button" });
      button.dataset.of = value;
      button.onclick = () => {
        SHOWN[name] = value;
        showPanes();
        keep();
        // a plot has no size while it is hidden
        const drawn = plots.filter((plot) => pane.contains(plot) || (name === "table" && plot.id === "placement"));
        return Promise.all(drawn.map((plot) => draw(plot).then(() => Plotly.Plots.resize(plot))));
      };
      return button;
    }),
  );
}
