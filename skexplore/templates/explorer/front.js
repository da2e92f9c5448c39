// The plot of the front over the axes, and in the colours, that its reader chooses. The figure comes drawn over reference
// GFLOPs and estimates; what a trace is stands in its meta.
const COSTS = {
  ref_macs: ["reference GFLOPs", 1e9], ref_params: ["reference #P, millions", 1e6],
  proxy_macs: ["proxy multiply-adds, millions", 1e6], proxy_params: ["proxy #P, thousands", 1e3],
};
const XS = { ...COSTS, seconds: ["seconds of training", 1], order: ["order", 1] };
const confirmed = (name) => (t) => data.confirmed[t.block]?.[name] ?? null;
const ERRORS = {
  estimate: ["estimated validation error, %", (t) => (t.status === "complete" ? data.estimates[t.block]?.estimate : null) ?? t.val_error],
  single: ["validation error of the training, %", (t) => t.val_error],
  ...(Object.keys(data.confirmed).length && {
    val: ["confirmed validation error, %", confirmed("val")],
    test: ["confirmed test error, %", confirmed("test")],
  }),
};
const COLORS = { "": "status", ...Object.fromEntries([...TRAITS, "sampler"].map((name) => [name, name])), order: "order" };
const USUAL = { x: "ref_macs", y: "estimate", color: "", logx: false, logy: false, zoom: null };
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#808790"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "star"];
const OTHERS = PALETTE.length - 1; // the look of all values that are not among the most frequent
const view = { ...USUAL };

const costOf = (t, x = view.x) => {
  const value = x === "order" ? t.position + 1 : t[x];
  return value == null || (x === "seconds" && !t.images) ? null : value / XS[x][1];
};
const errorOf = (t, y = view.y) => {
  const value = ERRORS[y][1](t);
  return value == null ? null : 100 * value;
};
// the front over the axes of now: trials that no other one beats in (error, cost), by cost; the order is no cost
const frontOf = () => {
  if (view.x === "order") return [];
  const found = trials.filter((t) => eligible.has(t.position) && costOf(t) !== null && errorOf(t) !== null);
  found.sort((a, b) => costOf(a) - costOf(b) || errorOf(a) - errorOf(b) || a.position - b.position);
  let best = Infinity;
  return found.filter((t) => errorOf(t) < best && ((best = errorOf(t)), true));
};
const looks = () => {
  if (!view.color || view.color === "order") return null;
  const counts = new Map();
  for (const t of trials) if (eligible.has(t.position)) counts.set(trait(t[view.color]), (counts.get(trait(t[view.color])) || 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, OTHERS).map(([value]) => value);
  most.sort(new Intl.Collator("en", { numeric: true }).compare);
  return { of: (t) => (most.indexOf(trait(t[view.color])) + PALETTE.length) % PALETTE.length, values: most, more: counts.size > OTHERS };
};
const placed = (trace, chosen) => {
  const at = chosen.map((position) => trials[position]);
  const y = trace.yaxis === "y2" ? at.map(() => trace.y[0]) : at.map((t) => errorOf(t));
  return { ...trace, x: at.map((t) => costOf(t)), y, customdata: chosen };
};
const coloured = (trace, found) => {
  const at = trace.customdata.map((position) => trials[position]), open = trace.meta === "front" ? "" : "-open";
  const marker = { ...trace.marker };
  if (view.color === "order") Object.assign(marker, { color: at.map((t) => t.position), colorscale: "Viridis", cmin: 0, cmax: trials.length - 1 });
  if (found) {
    marker.color = at.map((t) => PALETTE[found.of(t)]);
    marker.symbol = at.map((t) => SYMBOLS[found.of(t)] + open);
  }
  const faded = matching.size < trials.length; // what the table leaves out
  return { ...trace, marker: { ...marker, ...(faded && { opacity: at.map((t) => (matching.has(t.position) ? 1 : 0.15)) }) } };
};
const SPLIT = new Set(["front", "complete"]); // one set of trials in two traces, which the axes divide
// where all complete trials are on the front of the figure, others may not be on that over other axes
const withRest = (traces) => {
  const at = traces.findIndex((trace) => trace.meta === "front");
  if (at < 0 || traces.some((trace) => trace.meta === "complete")) return traces;
  const rest = { ...traces[at], meta: "complete", name: "complete", x: [], y: [], customdata: [], error_y: { visible: false } };
  rest.marker = { symbol: "circle-open", size: 9, color: color("--accent"), line: { width: 1.6 } };
  return [...traces.slice(0, at), rest, ...traces.slice(at)];
};
const explored = ([given, layout]) => {
  const traces = withRest(given), measured = traces.flatMap((trace) => (SPLIT.has(trace.meta) ? trace.customdata : []));
  const best = frontOf(), onFront = new Set(best.map((t) => t.position)), usualAxes = view.x === USUAL.x && view.y === USUAL.y;
  const found = looks(), shown = [];
  for (const trace of traces) {
    if (["noise", "knee", "beside"].includes(trace.meta) && !usualAxes) continue;
    if (trace.meta === "stairs") {
      if (usualAxes) shown.push(trace);
      else if (best.length) {
        const last = best.at(-1), end = Math.max(costOf(last), data.budgets[view.x] / XS[view.x][1] || 0);
        shown.push({ ...trace, x: [...best.map((t) => costOf(t)), end], y: [...best.map((t) => errorOf(t)), errorOf(last)] });
      }
    } else if (trace.customdata) {
      const drawnHere = { front: (p) => onFront.has(p), complete: (p) => !onFront.has(p) }[trace.meta] || (() => true);
      const all = SPLIT.has(trace.meta) ? measured : trace.customdata;
      let next = usualAxes ? trace : placed(trace, all.filter(drawnHere));
      if (!usualAxes && next.error_y) {
        const sure = trace.meta === "front" && view.y === "estimate";
        next = { ...next, ...(sure ? intervals(best) : { error_y: { visible: false }, name: trace.name.split(",")[0] }) };
      }
      if (next.customdata.length) shown.push(SPLIT.has(trace.meta) ? coloured(next, found) : next);
    } else shown.push(trace);
  }
  if (found) {
    const rows = [...found.values, ...(found.more ? ["others"] : [])];
    rows.forEach((value, i) => shown.push({
      x: [null], y: [null], mode: "markers", name: `${view.color} ${value}`, hoverinfo: "skip",
      marker: { color: PALETTE[i < found.values.length ? i : OTHERS], symbol: SYMBOLS[i < found.values.length ? i : OTHERS], size: 9 },
    }));
  }
  if (!usualAxes) relaid(layout, shown);
  for (const [name, log] of [["xaxis", view.logx], ["yaxis", view.logy]]) {
    if (log) Object.assign(layout[name], { type: "log", range: layout[name].range?.map((end) => Math.log10(Math.max(end, 1e-3))) });
  }
  if (view.logx) layout.annotations = (layout.annotations || []).map((each) => ({ ...each, x: Math.log10(each.x) }));
  if (view.logy) {
    layout.annotations = layout.annotations.map((each) => (each.yref === "paper" ? each : { ...each, y: Math.log10(each.y) }));
  }
  layout.annotations = (layout.annotations || []).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  if (view.zoom) [layout.xaxis.range, layout.yaxis.range] = [view.zoom.slice(0, 2), view.zoom.slice(2)];
  const legend = { ...layout.legend, uirevision: "kept" }; // what its reader hid stays hidden
  return [shown, { ...layout, legend, selections: [], dragmode: narrow.matches ? false : "zoom" }];
};
const intervals = (best) => {
  const of = (name, t) => Math.abs(100 * (data.estimates[t.block][name] ?? data.estimates[t.block].estimate) - errorOf(t));
  return { error_y: { array: best.map((t) => of("high", t)), arrayminus: best.map((t) => of("low", t)), thickness: 1.4, width: 4, color: PALETTE[0] } };
};
// titles, ranges, budget and names of anchors over other axes than the figure was drawn for
const relaid = (layout, shown) => {
  const ends = (values) => {
    const low = Math.min(...values), high = Math.max(...values), room = 0.08 * (high - low || Math.abs(high) || 1);
    return [low - room, high + room];
  };
  const of = (name, traces) => traces.flatMap((trace) => trace[name] || []).filter((value) => value !== null);
  const xs = of("x", shown.filter((trace) => trace.meta !== "ticks")), ys = of("y", shown.filter((trace) => trace.yaxis !== "y2"));
  for (const { y, error_y: bars } of shown) {
    if (bars?.array) y.forEach((value, i) => ys.push(value + bars.array[i], value - bars.arrayminus[i]));
  }
  const limit = data.budgets[view.x] / XS[view.x][1];
  if (limit) xs.push(limit);
  layout.xaxis = { ...layout.xaxis, title: { ...layout.xaxis.title, text: titled(XS[view.x][0]) }, range: xs.length ? ends(xs) : [0, 1] };
  layout.yaxis = { ...layout.yaxis, title: { ...layout.yaxis.title, text: titled(ERRORS[view.y][0]) }, range: ys.length ? ends(ys) : [0, 100] };
  layout.shapes = limit ? [{ type: "line", x0: limit, x1: limit, yref: "paper", y0: 0, y1: 1, line: { color: PALETTE[OTHERS], width: 1.6, dash: "dash" } }] : [];
  const anchors = shown.find((trace) => trace.meta === "anchors");
  layout.annotations = layout.annotations
    .filter((each) => each.name === "anchor")
    .map((each, i) => ({ ...each, x: anchors.x[i], y: anchors.y[i] }))
    .filter((each) => each.x !== null && each.y !== null);
};
const titled = (text) => text[0].toUpperCase() + text.slice(1);
VIEWS.pareto = explored;

// -- its controls
const controls = byId("controls"), pareto = byId("pareto");
const redrawFront = async () => {
  await draw(pareto);
  byId("whole").hidden = !view.zoom;
};
const chooser = (id, options, key) => {
  const select = byId(id);
  select.replaceChildren(...Object.entries(options).map(([value, text]) => Object.assign(element("option", text), { value })));
  select.onchange = () => change({ [key]: select.value, zoom: null });
  return () => (select.value = view[key]);
};
const named0 = (table) => Object.fromEntries(Object.entries(table).map(([key, [text]]) => [key, text]));
const shows = [chooser("axis-x", named0(XS), "x"), chooser("axis-y", named0(ERRORS), "y"), chooser("axis-color", COLORS, "color")];
for (const key of ["logx", "logy"]) {
  byId(key).onchange = (event) => change({ [key]: event.target.checked, zoom: null });
  shows.push(() => (byId(key).checked = view[key]));
}
const change = (changes) => {
  Object.assign(view, changes);
  for (const show of shows) show();
  keep();
  return redrawFront();
};
byId("whole").onclick = () => change({ zoom: null });
for (const format of ["svg", "png"]) {
  byId(`save-${format}`).onclick = () =>
    Plotly.downloadImage(pareto, { format, filename: `${data.study}-front`, width: 1000, height: 620, scale: format === "png" ? 2 : 1 });
}
const zoomable = () => {
  pareto.on("plotly_relayout", (event) => {
    const ends = ["xaxis.range[0]", "xaxis.range[1]", "yaxis.range[0]", "yaxis.range[1]"].map((name) => event[name]);
    if (ends.every((end) => end !== undefined)) change({ zoom: ends });
  });
  pareto.on("plotly_doubleclick", () => change({ zoom: null }));
  // with Shift held a drag is a lasso; its outline goes, what it held stays
  let lassoing = false;
  const drags = (mode) => pareto._fullLayout.dragmode === mode || Plotly.relayout(pareto, { dragmode: mode });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Shift" && pareto.matches(":hover")) lassoing = Boolean(drags("lasso"));
  });
  document.addEventListener("keyup", (event) => event.key === "Shift" && lassoing && drags("zoom"));
  pareto.on("plotly_selected", (event) => {
    if (!lassoing || !event?.lassoPoints) return; // clearing it is told as well
    lassoing = false;
    lasso(new Set(event.points.map((point) => point.customdata).filter((position) => position !== undefined)));
  });
};
// arrows walk the points by the axis of their direction, c puts the chosen one into the tray
const STEPS = { ArrowLeft: [costOf, -1], ArrowRight: [costOf, 1], ArrowDown: [errorOf, -1], ArrowUp: [errorOf, 1] };
pareto.tabIndex = 0;
pareto.onkeydown = (event) => {
  if (event.key === "c" && pinned) return tray(pinned);
  if (!STEPS[event.key]) return;
  event.preventDefault();
  const [of, way] = STEPS[event.key];
  const all = trials.filter((t) => matching.has(t.position) && costOf(t) !== null && errorOf(t) !== null);
  all.sort((a, b) => of(a) - of(b) || a.position - b.position);
  const at = all.indexOf(pinned);
  const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + way))];
  if (next) pin(next);
};
