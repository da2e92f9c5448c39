// Parallel axes: complete trials as lines through their decisions, cost and error. A drag around an axis chooses what the
// table leaves, around several axes together; axes change places and turn around.
const NUMBERS = { [UNIT]: (t) => t.ref_macs / ONES, "error, %": (t) => errorOf(t) };
const MOST_LINES = 600; // a browser is slow with more, and a reader sees no line any more
let axes = [...strips.map(({ name, found }) => ({ name, found })), ...Object.keys(NUMBERS).map((name) => ({ name }))];
const parallel = byId("parallel");
const missing = TRAITS.filter((name) => !strips.some((strip) => strip.name === name) && new Set(candidates.map((t) => trait(t[name]))).size > 1);
if (parallel && missing.length) byId("axes-missing").textContent = ` Without ${missing.join(" and ")}: more than ${MOST_LEVELS} values each.`;
// each axis from 0 to 1: its levels at equal distances, or numbers from the least to the greatest
const scaled = (axis) => {
  const at = (share) => (axis.turned ? 1 - share : share);
  if (axis.found) {
    const last = axis.found.length - 1;
    return { of: (t) => at(axis.found.indexOf(trait(t[axis.name])) / last), ticks: axis.found.map((level, i) => [at(i / last), level]) };
  }
  const values = candidates.map(NUMBERS[axis.name]).filter((value) => value !== null);
  if (!values.length) return { of: () => 0.5, ticks: [] };
  const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const digits = high - low < 1 ? 3 : 2;
  const ticks = [[at(0), low.toFixed(digits)], ...(high > low ? [[at(1), high.toFixed(digits)]] : [])];
  return { of: (t) => (high > low ? at((NUMBERS[axis.name](t) - low) / (high - low)) : 0.5), ticks };
};
const chosenOne = () => (pinned && eligible.has(pinned.position) && errorOf(pinned) !== null ? [pinned] : []);
const lines = (some, scales = axes.map(scaled)) => ({
  x: some.flatMap(() => [...axes.keys(), null]), y: some.flatMap((t) => [...scales.map(({ of }) => of(t)), null]),
  mode: "lines", hoverinfo: "skip",
});
const markChosen = () => {
  const at = parallel?.data?.findIndex((trace) => trace.name === "chosen");
  if (at === undefined || at < 0) return;
  const { x, y } = lines(chosenOne());
  Plotly.restyle(parallel, { x: [x], y: [y] }, at);
};
const drawParallel = () => {
  if (!parallel) return;
  const scales = axes.map(scaled), step = Math.ceil(candidates.length / MOST_LINES), best = new Set(frontOf());
  const all = candidates.filter((t, i) => errorOf(t) !== null && (i % step === 0 || best.has(t)));
  const left = (t) => matching.has(t.position), points = all.filter(left);
  const traces = [
    { ...lines(all.filter((t) => !left(t)), scales), name: "left out", line: { width: 1, color: color("--quiet") }, opacity: 0.15 },
    { ...lines(points.filter((t) => !best.has(t)), scales), name: "complete", line: { width: 1.2, color: color("--accent") }, opacity: 0.35 },
    { ...lines(points.filter((t) => best.has(t)), scales), name: "front", line: { width: 2.4, color: color("--accent") } },
    { ...lines(chosenOne(), scales), name: "chosen", line: { width: 3, color: color("--mark") } },
    {
      x: points.flatMap(() => [...axes.keys()]), y: points.flatMap((t) => scales.map(({ of }) => of(t))),
      customdata: points.flatMap((t) => axes.map(() => t.position)), name: "points", mode: "markers", hoverinfo: "skip",
      marker: { size: 6, color: color("--accent") },
    },
  ];
  const [, { yaxis2, ...usual }] = styled(figures.pareto);
  const line = { color: color("--quiet"), width: 1 };
  const layout = {
    ...usual, showlegend: false, selections: [], dragmode: narrow.matches ? false : "select", margin: { l: 16, r: 16, t: 8, b: 8 },
    xaxis: { visible: false, range: [-0.5, axes.length - 0.5], type: "linear", fixedrange: true },
    yaxis: { visible: false, range: [-0.08, 1.08], type: "linear", fixedrange: true },
    shapes: axes.map((_, i) => ({ type: "line", x0: i, x1: i, y0: 0, y1: 1, line, layer: "below" })),
    annotations: scales.flatMap(({ ticks }, i) =>
      ticks.map(([y, text]) => ({ x: i, y, text, showarrow: false, xanchor: "left", xshift: 6, font: { size: 11 }, bgcolor: color("--page"), opacity: 0.9 })),
    ),
  };
  showAxes();
  return Plotly.react(parallel, traces, layout, config);
};

// -- the names above: each moves to the left or the right, and turns around; what is chosen on it stays
const changed = (next) => {
  axes = next;
  return drawParallel();
};
const letGo = () => {
  for (const view of [...brushes.keys()]) if (view.startsWith("axis ")) brushes.delete(view);
  return refilter();
};
const showAxes = () => {
  const heads = axes.map((axis, i) => {
    const head = element("span", "", "axis");
    const button = (text, label, act, off = false) => {
      const made = Object.assign(element("button", text), { type: "button", disabled: off, onclick: act });
      made.setAttribute("aria-label", label);
      head.append(made);
    };
    const moved = (to) => changed(axes.toSpliced(i, 1).toSpliced(to, 0, axis));
    button("‹", `move ${axis.name} to the left`, () => moved(i - 1), i === 0);
    button(`${axis.name} ${axis.turned ? "↓" : "↑"}`, `turn ${axis.name} around`, () => changed(axes.with(i, { ...axis, turned: !axis.turned })));
    button("›", `move ${axis.name} to the right`, () => moved(i + 1), i === axes.length - 1);
    return head;
  });
  const held = [...byId("axes").querySelectorAll("button")].indexOf(document.activeElement);
  byId("axes").replaceChildren(...heads);
  byId("axes").querySelectorAll("button")[held]?.focus(); // whoever walks by the keyboard stays where they were
};
const brushed = () => {
  if (!parallel) return;
  boxed(parallel, ([left, right], [low, high]) => {
    const axis = axes[Math.round((left + right) / 2)];
    if (!axis) return;
    // of all trials and not of the points: some may be left out by other choices, or by their number
    const { of } = scaled(axis);
    const at = candidates.filter((t) => errorOf(t) !== null && low <= of(t) && of(t) <= high);
    brush(`axis ${axis.name}`, new Set(at.map((t) => t.position)));
  });
  parallel.on("plotly_doubleclick", letGo);
};
