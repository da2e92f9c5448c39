// One strip for each decision: the complete trials at their levels, at the error that the plot of the front shows, the
// mean of each level, and what is believed of it over the whole space. A drag chooses what the table leaves; strips and
// lasso choose together.
const MOST_LEVELS = 12;
const candidates = trials.filter((t) => eligible.has(t.position));
const strips = TRAITS.flatMap((name) => {
  const found = [...new Set(candidates.map((t) => trait(t[name])))].sort(inOrder);
  return found.length > 1 && found.length <= MOST_LEVELS ? [{ name, found }] : [];
});
// equal trials get equal places, spread over the width of their level
const spread = (position) => (((position * 0.618034) % 1) - 0.5) * 0.55;
const MOST_DOTS = 1500; // of one strip: a browser is slow with more
const drawSlice = ({ name, found, pane }) => {
  const step = Math.ceil(candidates.length / MOST_DOTS);
  const at = candidates.filter((t, i) => errorOf(t) !== null && i % step === 0), column = (t) => found.indexOf(trait(t[name]));
  const of = (level) => at.filter((t) => trait(t[name]) === level && matching.has(t.position)).map((t) => errorOf(t));
  const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
  const believed = found.map((level) => data.levels[name]?.[level]), searched = view.y === "estimate" || view.y === "single";
  const [, { yaxis2, ...usual }] = styled(figures.pareto);
  const traces = [
    {
      x: at.map((t) => column(t) + spread(t.position)), y: at.map((t) => errorOf(t)), customdata: at.map((t) => t.position),
      mode: "markers", name, hoverinfo: "none", marker: { size: 7, color: color("--accent"), opacity: at.map((t) => (matching.has(t.position) ? 0.85 : 0.12)) },
    },
    {
      x: found.flatMap((_, i) => [i - 0.3, i + 0.3, null]), y: found.flatMap((level) => [...Array(2).fill(mean(of(level))), null]),
      mode: "lines", name: "mean", hovertemplate: "mean %{y:.2f} %<extra></extra>", line: { width: 2, color: color("--mark") },
    },
    ...(searched && believed.some((error) => error !== undefined)
      ? [{
          x: found.map((_, i) => i), y: believed.map((error) => (error === undefined ? null : 100 * error)), mode: "markers", name: "believed",
          marker: { symbol: "diamond-open", size: 9, color: color("--ink"), line: { width: 1.6 } }, hovertemplate: "believed %{y:.2f} %<extra></extra>",
        }]
      : []),
  ];
  const axis = { ...usual.yaxis, autorange: true, title: { text: "" } };
  const layout = {
    ...usual, shapes: [], annotations: [], showlegend: false, selections: [], dragmode: narrow.matches ? false : "select",
    margin: { l: 40, r: 8, t: 6, b: 34 }, yaxis: axis,
    xaxis: { ...usual.xaxis, title: { text: "" }, range: [-0.6, found.length - 0.4], tickvals: found.map((_, i) => i), ticktext: found, type: "linear", automargin: true, tickfont: { size: 10 }, autotickangles: [0, -30, -90] },
  };
  return Plotly.react(pane, traces, layout, config);
};
const drawSlices = () => Promise.all(strips.map(drawSlice));
for (const strip of strips) {
  const figure = element("figure"), pane = element("div", "", "plot small");
  pane.id = `slice-${strip.name}`;
  pane.setAttribute("role", "figure");
  pane.setAttribute("aria-label", `Errors by ${strip.name}`);
  figure.append(element("figcaption", strip.name), pane);
  byId("slices").append(figure);
  strip.pane = pane;
}
// tells what a drag held, from the left to the right and from below
const boxed = (pane, act) => {
  let drawing = false;
  pane.on("plotly_selecting", () => (drawing = true));
  pane.on("plotly_selected", (event) => {
    if (!drawing || !event?.range) return; // clearing it is told as well
    drawing = false;
    act(...[event.range.x, event.range.y].map((ends) => [...ends].sort((a, b) => a - b)));
  });
};
const sliced = () => {
  for (const { name, found, pane } of strips) {
    tracked(pane);
    boxed(pane, ([left, right], [low, high]) => {
      const inside = (t) => {
        const x = found.indexOf(trait(t[name])) + spread(t.position), y = errorOf(t);
        return y !== null && left <= x && x <= right && low <= y && y <= high;
      };
      brush(name, new Set(candidates.filter(inside).map((t) => t.position)));
    });
    pane.on("plotly_doubleclick", () => brush(name, null));
  }
};
