// What lies under the pointer, and the words for it.
// where a trial stands in a plot, in data coordinates; null: nowhere
const PLACES = {
  pareto: (t) => [costOf(t), errorOf(t)],
  placement: (t) => [t.ref_params / 1e6, t.ref_macs / ONES],
};
const NEAR = 4; // pixels: points closer than that cannot be pointed at one by one
let pinned = null;
const ring = (plot) => {
  const mark = plot.querySelector(".ring") || plot.appendChild(element("div", "", "ring"));
  const at = pinned && PLACES[plot.id] ? PLACES[plot.id](pinned) : [null, null];
  const { xaxis, yaxis } = plot._fullLayout;
  const [x, y] = at.includes(null) ? [NaN, NaN] : place(plot, ...at);
  mark.hidden = !(x >= 0 && x <= xaxis._length && y >= 0 && y <= yaxis._length);
  if (!mark.hidden) {
    mark.style.left = `${xaxis._offset + x}px`;
    mark.style.top = `${yaxis._offset + y}px`;
  }
};


const tip = byId("tip");
const spark = (curve) => {
  const low = Math.min(...curve), high = Math.max(...curve), svg = (name) =>
    document.createElementNS("http://www.w3.org/2000/svg", name);
  const line = svg("polyline"), picture = svg("svg");
  const x = (i) => 2 + (116 * i) / Math.max(1, curve.length - 1);
  const y = (error) => 26 - (24 * (error - low)) / Math.max(1e-9, high - low);
  line.setAttribute("points", curve.map((error, i) => `${x(i).toFixed(1)},${y(error).toFixed(1)}`).join(" "));
  picture.setAttribute("viewBox", "0 0 120 28");
  picture.setAttribute("class", "spark");
  picture.append(line);
  return picture;
};
const place = (plot, x, y, { xaxis, yaxis } = plot._fullLayout) => [xaxis.d2p(x), yaxis.d2p(y)];
const plain = (text) => new DOMParser().parseFromString(text.replaceAll("<br>", " "), "text/html").body.textContent;
// what lies under a point, in pixels of a plot: trials, and in words what brings its own text; the nearest first, of
// equals the topmost
const under = (plot, [left, top]) => {
  const found = [];
  for (const trace of [...plot._fullData].reverse()) {
    if (trace.visible !== true || !(trace.mode || "").includes("markers")) continue;
    const [xaxis, yaxis] = ["xaxis", "yaxis"].map((name) => plot._fullLayout[name + trace[name].slice(1)]);
    trace.x.forEach((x, i) => {
      const at = place(plot, x, trace.y[i], { xaxis, yaxis }), far = Math.hypot(at[0] - left, at[1] - top);
      const trial = trials[trace.customdata?.[i]], text = trace.text?.[i];
      if (far <= NEAR && (trial || text)) found.push({ far, trial, words: trial ? "" : `${trace.name}: ${plain(text)}` });
    });
  }
  found.sort((a, b) => a.far - b.far);
  const seen = (key) => [...new Set(found.map((each) => each[key]).filter(Boolean))];
  return { trials: seen("trial"), words: seen("words") };
};
const count = (number) => `${number} trials lie at this point`;
const say = ({ trials: [trial, ...more], words: others }) => {
  const error = trial.val_error === null ? "none" : `${percent(trial.val_error)} %`;
  const also = [...more.map(named), ...others];
  tip.replaceChildren(
    breakable(element("code"), trial.block),
    element("div", `val error ${error}, estimate ${estimated(trial)}`),
    element("div", `reference ${flops(trial.ref_macs)} ${UNIT}, ${mega(trial.ref_params)} M`),
    element("div", `proxy ${mega(trial.proxy_macs)} M multiply-adds, ${kilo(trial.proxy_params)} k #P`),
    element("div", `seed ${trial.seed}, ${trial.epochs} epochs`),
    ...(trial.curve.length > 1 ? [spark(trial.curve)] : []),
    element("div", `${named(trial)}, ${words(trial.status)}`, "fine"),
    ...(also.length ? [element("div", `At the same point: ${also.join("; ")}.`, "fine")] : []),
    ...(more.length ? [element("div", `${count(more.length + 1)}: each click shows the next.`, "fine")] : []),
  );
};
const tracked = (plot) => {
  // what lies under the pointer: plotly gives the smaller of two marks that overlap, whichever is nearer
  const at = ({ event, points: [point] }) => {
    if (point.data.type === "bar") return { trials: [trials[point.customdata]].filter(Boolean), words: [] };
    const { left, top } = plot.getBoundingClientRect(), { xaxis, yaxis } = point;
    const found = under(plot, [event.clientX - left - xaxis._offset, event.clientY - top - yaxis._offset]);
    return found.trials.length ? found : under(plot, place(plot, point.x, point.y, point));
  };
  plot.on("plotly_hover", (event) => {
    const found = at(event), ownText = event.points[0].fullData.hoverinfo !== "none";
    if (!found.trials.length || (ownText && found.trials.length + found.words.length < 2)) return;
    say(found);
    plot.classList.toggle("covered", ownText);
    tip.hidden = false;
    const { clientX: x, clientY: y } = event.event, { offsetWidth: w, offsetHeight: h } = tip;
    tip.style.left = `${Math.max(4, x + 16 + w > innerWidth ? x - 16 - w : x + 16)}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - h - 4))}px`;
  });
  plot.on("plotly_unhover", () => {
    tip.hidden = true;
    plot.classList.remove("covered");
  });
  plot.on("plotly_click", (event) => {
    const found = at(event), { trials: here } = found;
    if (!here.length) return;
    plot.focus({ preventScroll: true }); // plotly keeps a click from doing so, and arrows are to walk on from here
    pin(here[(here.indexOf(pinned) + 1) % here.length], found, true);
  });
  plot.on("plotly_afterplot", () => ring(plot));
};
