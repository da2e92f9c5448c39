// The plot of the front over the axes, and in the colours, that its reader chooses. The figure comes drawn over reference
// costs and estimates; what a trace is stands in its meta.
const COSTS = {
  ref_macs: [`reference ${UNIT}`, ONES], ref_params: ["reference #P, millions", 1e6],
  ref_activations: ["reference activations, millions", 1e6],
  ...(data.latency && { ref_latency_ms: ["reference latency, ms", 1] }),
  proxy_macs: ["proxy multiply-adds, millions", 1e6], proxy_params: ["proxy #P, thousands", 1e3],
};
const XS = { ...COSTS, seconds: ["seconds of training", 1], order: ["order of proposals", 1] };
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
const USUAL = { x: "ref_macs", y: "estimate", color: "", logx: false, logy: false, arrows: false, zoom: null };
const CHECKS = ["logx", "logy", ...(byId("arrows") ? ["arrows"] : [])];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "star"];
const OTHERS = SYMBOLS.length - 1; // the look of all values that are not among the most frequent
const palette = () => [color("--accent"), ...color("--levels").split(" "), color("--quiet")];
const view = { ...USUAL };

const costOf = (t, x = view.x) => {
  const value = x === "order" ? (beside(t) ? null : t.number) : t[x];
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
  return found.filter((t) => {
    const lower = errorOf(t) < best;
    if (lower) best = errorOf(t);
    return lower;
  });
};

// -- traces
const at = (positions) => positions.map((position) => trials[position]);
const looks = () => {
  if (!view.color || view.color === "order") return null;
  const counts = new Map();
  for (const t of trials) if (eligible.has(t.position)) counts.set(trait(t[view.color]), (counts.get(trait(t[view.color])) || 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, OTHERS).map(([value]) => value).sort(inOrder);
  return { of: (t) => (most.includes(trait(t[view.color])) ? most.indexOf(trait(t[view.color])) : OTHERS), values: most, more: counts.size > OTHERS };
};
const coloured = (trace, found) => {
  const here = at(trace.customdata), open = trace.meta === "front" ? "" : "-open", colors = palette(), marker = { ...trace.marker };
  if (view.color === "order") Object.assign(marker, { color: here.map((t) => t.number), colorscale: "Viridis", cmin: 0, cmax: trials.at(-1).number });
  if (found) {
    marker.color = here.map((t) => colors[found.of(t)]);
    marker.symbol = here.map((t) => SYMBOLS[found.of(t)] + open);
  }
  if (matching.size < trials.length) marker.opacity = here.map((t) => (matching.has(t.position) ? 1 : 0.15)); // what the table leaves out
  return { ...trace, marker };
};
const bars = (here) => {
  const to = (name) => here.map((t) => Math.abs(100 * (data.estimates[t.block][name] ?? data.estimates[t.block].estimate) - errorOf(t)));
  return { array: to("high"), arrayminus: to("low"), thickness: 1.4, width: 4, color: color("--accent") };
};
const NONE = { visible: false };
// what each trace of the figure is over other axes than its own, null where it is nothing
const OVER = {
  noise: () => null,
  knee: () => null,
  beside: () => null,
  stairs: (trace, best) => {
    if (!best.length) return null;
    const last = best.at(-1), end = Math.max(costOf(last), data.budgets[view.x] / XS[view.x][1] || 0);
    return { ...trace, x: [...best.map((t) => costOf(t)), end], y: [...best.map((t) => errorOf(t)), errorOf(last)] };
  },
  front: (trace, best) => {
    const sure = view.y === "estimate" && trace.error_y?.array;
    const more = sure ? { error_y: bars(best) } : { error_y: NONE, name: trace.name.split(",")[0] };
    return { ...trace, x: best.map((t) => costOf(t)), y: best.map((t) => errorOf(t)), customdata: best.map((t) => t.position), ...more };
  },
  complete: (trace, best, measured) => moved(trace, measured.filter((position) => !best.includes(trials[position]))),
  over: (trace) => moved(trace, trials.filter((t) => t.status === "over_budget").slice(0, MOST_TICKS).map((t) => t.position)),
  anchors: (trace) => {
    const x = at(trace.customdata).map((t) => costOf(t));
    if (view.y === "estimate" || view.y === "single") return { ...trace, x }; // the mean of its seeds stays what it is
    const y = at(trace.customdata).map((t) => errorOf(t));
    return { ...trace, x, y, name: "anchors, confirmed", error_y: NONE, hovertemplate: "%{y:.2f} %<extra></extra>" };
  },
};
const MOST_TICKS = 1500;
const moved = (trace, positions) => {
  const here = at(positions), y = trace.yaxis === "y2" ? here.map(() => trace.y[0] ?? 0.027) : here.map((t) => errorOf(t));
  return { ...trace, x: here.map((t) => costOf(t)), y, customdata: positions };
};
const SPLIT = new Set(["front", "complete"]); // one set of trials in two traces, which the axes divide
// where all complete trials are on the front of the figure, others may not be on that over other axes
const withRest = (traces) => {
  const place = traces.findIndex((trace) => trace.meta === "front");
  if (place < 0 || traces.some((trace) => trace.meta === "complete")) return traces;
  const marker = { symbol: "circle-open", size: 9, color: color("--accent"), line: { width: 1.6 } };
  const rest = { ...traces[place], meta: "complete", name: "complete", x: [], y: [], customdata: [], error_y: NONE, marker };
  return [...traces.slice(0, place), rest, ...traces.slice(place)];
};
// from the error of the search to what fresh trainings have on the test set
const arrows = () => {
  const first = Object.keys(data.confirmed).map((block) => trials.find((t) => t.block === block && t.status === "complete"));
  const here = first.filter((t) => t && costOf(t) !== null && data.confirmed[t.block].test !== null);
  if (!here.length) return [];
  const now = (name) => here.map((t) => data.confirmed[t.block][name]), test = now("test").map((error) => 100 * error);
  const to = (name) => now(name).map((end, i) => (end === null ? 0 : Math.abs(100 * end - test[i])));
  const x = here.map((t) => costOf(t)), line = { color: color("--ink"), width: 1.2 };
  const ends = (of) => here.flatMap((t, i) => [...of(t, i), null]);
  return [
    {
      x: ends((_, i) => [x[i], x[i]]), y: ends((t, i) => [errorOf(t), test[i]]), mode: "lines+markers", line, meta: "arrow",
      marker: { symbol: "arrow", angleref: "previous", size: ends(() => [0, 9]), color: line.color },
      hoverinfo: "skip", showlegend: false, legendgroup: "confirmed",
    },
    {
      x, y: test, mode: "markers", name: "confirmed on test, 95 %", meta: "confirmed", legendgroup: "confirmed", hoverinfo: "none",
      customdata: here.map((t) => t.position), marker: { symbol: "line-ew", size: 12, line: { width: 2, color: line.color } },
      error_y: { array: to("test_high"), arrayminus: to("test_low"), thickness: 1.4, width: 4, color: line.color },
    },
  ];
};
const legendOf = (found) => {
  const colors = palette(), rows = [...found.values, ...(found.more ? ["others"] : [])];
  return rows.map((value, i) => ({
    x: [null], y: [null], mode: "markers", name: `${view.color} ${value}`, hoverinfo: "skip", meta: "level",
    marker: { color: colors[i < found.values.length ? i : OTHERS], symbol: SYMBOLS[i < found.values.length ? i : OTHERS], size: 9 },
  }));
};
const explored = ([given, layout]) => {
  const traces = withRest(given), measured = traces.flatMap((trace) => (SPLIT.has(trace.meta) ? trace.customdata : []));
  const usual = view.x === USUAL.x && view.y === USUAL.y, best = frontOf(), found = looks(), shown = [], uids = new Map();
  for (const trace of traces) {
    const over = OVER[trace.meta] || (trace.customdata ? (own) => moved(own, own.customdata) : (own) => own);
    const next = usual ? trace : over(trace, best, measured);
    if (next && (!next.customdata || next.customdata.length)) shown.push(SPLIT.has(trace.meta) ? coloured(next, found) : next);
  }
  const searched = view.y === "estimate" || view.y === "single";
  if (view.arrows && searched) shown.push(...arrows());
  if (found) shown.push(...legendOf(found));
  for (const trace of shown) {
    // what its reader hid in the legend stays hidden, whatever else comes and goes
    const name = trace.meta || trace.name, number = uids.get(name) || 0;
    uids.set(name, number + 1);
    trace.uid = `${name}-${number}`;
  }
  layout.annotations ??= [];
  if (!usual || view.logx || view.logy || view.arrows) relaid(layout, shown);
  if (view.zoom) [layout.xaxis.range, layout.yaxis.range] = [view.zoom.slice(0, 2), view.zoom.slice(2)];
  const legend = { ...layout.legend, uirevision: "kept" };
  return [shown, { ...layout, legend, selections: [], dragmode: narrow.matches ? false : "zoom" }];
};

// -- axes: titles, ranges, budget and names of anchors over other axes than the figure was drawn for
const ends = (values, log) => {
  const own = log ? values.filter((value) => value > 0).map(Math.log10) : values;
  if (!own.length) return [0, 1];
  const low = own.reduce((a, b) => Math.min(a, b)), high = own.reduce((a, b) => Math.max(a, b));
  const room = 0.08 * (high - low || (log ? 1 : Math.abs(high)) || 1);
  return [low - room, high + room];
};
const relaid = (layout, shown) => {
  const numbers = (values) => values.filter((value) => typeof value === "number");
  const xs = numbers(shown.flatMap((trace) => (trace.meta === "over" ? [] : trace.x || [])));
  const ys = numbers(shown.flatMap((trace) => (trace.yaxis === "y2" ? [] : trace.y || [])));
  for (const { y, error_y: own } of shown) {
    for (const [i, value] of own?.array ? y.entries() : []) ys.push(value + own.array[i], value - own.arrayminus[i]);
  }
  const limit = data.budgets[view.x] / XS[view.x][1];
  if (limit) xs.push(limit);
  const titled = (axis, [text], same) => (same ? axis.title : { ...axis.title, text: text[0].toUpperCase() + text.slice(1) });
  for (const [name, log, values, title, same] of [
    ["xaxis", view.logx, xs, XS[view.x], view.x === USUAL.x],
    ["yaxis", view.logy, ys, ERRORS[view.y], view.y === USUAL.y],
  ]) {
    layout[name] = { ...layout[name], title: titled(layout[name], title, same), type: log ? "log" : "linear", range: ends(values, log) };
  }
  if (view.x !== USUAL.x) {
    const line = { color: color("--quiet"), width: 1.6, dash: "dash" };
    layout.shapes = limit ? [{ type: "line", x0: limit, x1: limit, yref: "paper", y0: 0, y1: 1, line }] : [];
  }
  const anchors = shown.find((trace) => trace.meta === "anchors");
  let number = 0;
  layout.annotations = layout.annotations
    .map((each) => (each.name === "anchor" ? { ...each, x: anchors?.x[number], y: anchors?.y[number++] } : each))
    .filter((each) => each.name === "anchor" || view.x === USUAL.x) // the budget's label
    .map((each) => ({
      ...each,
      x: view.logx ? Math.log10(each.x) : each.x, // plotly takes places of texts, and not those of lines, as logarithms
      y: view.logy && each.yref !== "paper" ? Math.log10(each.y) : each.y,
    }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
};
VIEWS.pareto = explored;

// -- its controls
const pareto = byId("pareto");
const redrawFront = async () => {
  await draw(pareto);
  byId("whole").hidden = !view.zoom;
  if (pinned) choose(here(pinned)); // what lies at its point is another over other axes
};
const chooser = (id, options, key) => {
  const select = byId(id);
  select.replaceChildren(...Object.entries(options).map(([value, text]) => Object.assign(element("option", text), { value })));
  select.onchange = () => change({ [key]: select.value, zoom: null });
  return () => (select.value = view[key]);
};
const texts = (table) => Object.fromEntries(Object.entries(table).map(([key, [text]]) => [key, text]));
const shows = [chooser("axis-x", texts(XS), "x"), chooser("axis-y", texts(ERRORS), "y"), chooser("axis-color", COLORS, "color")];
for (const key of CHECKS) {
  byId(key).onchange = (event) => change({ [key]: event.target.checked, zoom: null });
  shows.push(() => (byId(key).checked = view[key]));
}
const change = (changes) => {
  Object.assign(view, changes);
  for (const show of shows) show();
  keep();
  return redrawViews();
};
// the front at once, what is further down when that is on the screen, and nothing that was overtaken meanwhile
let turn = 0;
const redrawViews = async () => {
  turn += 1;
  const own = turn, curves = byId("curves");
  await redrawFront();
  for (const view of [drawSlices, drawParallel, () => curves && draw(curves)]) {
    await new Promise((done) => setTimeout(done));
    if (own !== turn) return;
    await view();
  }
};
byId("whole").onclick = () => change({ zoom: null });
for (const format of ["svg", "png"]) {
  byId(`save-${format}`).onclick = () => saved(pareto, format);
}
const zoomable = () => {
  pareto.on("plotly_relayout", (event) => {
    // a flat drag, or one on an axis, tells of one axis alone
    const { xaxis, yaxis } = pareto._fullLayout;
    if (Object.keys(event).some((key) => /^[xy]axis\.range/.test(key))) change({ zoom: [...xaxis.range, ...yaxis.range] });
  });
  pareto.on("plotly_legendclick", ({ data: all, curveNumber }) => {
    const level = all[curveNumber].meta === "level" && all[curveNumber].name;
    if (!level) return true;
    if (!level.endsWith(" others")) askFor(level.replace(" ", "="));
    return false;
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
    brush("front", new Set(event.points.map((point) => point.customdata).filter((position) => position !== undefined)));
  });
};
// arrows walk the points by the axis of their direction, c puts the chosen one into the tray
const STEPS = { ArrowLeft: [costOf, -1], ArrowRight: [costOf, 1], ArrowDown: [errorOf, -1], ArrowUp: [errorOf, 1] };
pareto.tabIndex = 0;
pareto.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
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
