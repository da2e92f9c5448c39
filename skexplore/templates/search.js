// Links plots, panel and table of a search. Everything shown is text (never markup) but for the drawings, which are
// made of numbers alone.
const data = JSON.parse(await unpack("packed-data"));
const drawings = JSON.parse(await unpack("packed-drawings"));

const front = new Set(data.front);
const trials = data.rows.map((values, position) => ({
  position,
  ...Object.fromEntries(data.columns.map((name, i) => [name, values[i]])),
  curve: data.curves[position],
  front: front.has(position),
}));

// -- numbers as the rest of the page writes them
const fixed = (digits, unit = 1) => (value) => (value === null ? "–" : (value / unit).toFixed(digits));
const percent = fixed(2, 0.01), giga = fixed(3, 1e9), mega = fixed(2, 1e6), kilo = fixed(1, 1e3);
const whole = (value) => Math.round(value).toLocaleString("en-US");
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)} %`;
const words = (status) => status.replace("_", " ");
const kind = (trial) => (trial.sampler === "user" ? "own block" : trial.origin); // a user's block stands with the anchors
const named = (trial) => `${["anchor", "own block", "replicate"].includes(kind(trial)) ? kind(trial) : "trial"} ${trial.number}`;
const breakable = (code, text) => {
  text.split(";").forEach((part, i) => code.append(...(i ? [";", document.createElement("wbr")] : []), part));
  return code;
};

// -- plots
// where a trial stands in a plot, in data coordinates; null: nowhere
const shown = (t) => {
  const error = t.status === "complete" ? data.estimates[t.block]?.estimate : t.val_error;
  return error == null ? null : 100 * error;
};
const estimated = (t) => {
  const found = data.estimates[t.block];
  if (!found) return "none";
  const interval = found.low === null ? "" : ` (90 %: ${percent(found.low)} to ${percent(found.high)})`;
  return `${percent(found.estimate)} %${interval}, n = ${found.trainings}`;
};
const PLACES = {
  "pareto-gflops": (t) => [t.ref_macs / 1e9, shown(t)],
  "pareto-params": (t) => [t.ref_params / 1e6, shown(t)],
  placement: (t) => [t.ref_params / 1e6, t.ref_macs / 1e9],
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

// -- what a pointer says
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
    element("div", `reference ${giga(trial.ref_macs)} GFLOPs, ${mega(trial.ref_params)} M`),
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
    if (here.length) pin(here[(here.indexOf(pinned) + 1) % here.length], found, true);
  });
  plot.on("plotly_afterplot", () => ring(plot));
};

// -- the pinned trial
const panel = byId("pinned");
const facts = (list, pairs) =>
  list.replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", String(value))]));
const fill = (table, rows) =>
  table.tBodies[0].replaceChildren(
    ...rows.map((cells) => {
      const row = element("tr");
      row.append(...cells.map((cell, i) => element("td", cell, i ? "n" : "")));
      return row;
    }),
  );
const exportCommand = (trial) =>
  trial.origin === "search" && ["complete", "stopped"].includes(trial.status)
    ? `skexplore export ${byId("export").dataset.study} --trial ${trial.number}`
    : "";
const asJson = (trial) => {
  const { position, front: onFront, ...record } = trial;
  return JSON.stringify({ study: data.study, ...record, on_front: onFront }, null, 2);
};

const drawCurve = () => {
  const pane = byId("pinned-curve");
  pane.parentElement.hidden = pinned.curve.length < 2;
  if (pane.parentElement.hidden) return;
  const [, layout] = styled(figures.curves);
  const trace = {
    x: pinned.curve.map((_, i) => i + 1),
    y: pinned.curve.map((error) => 100 * error),
    mode: "lines+markers",
    line: { color: color("--accent"), width: 2.2 },
    hovertemplate: "epoch %{x}: %{y:.2f} %<extra></extra>",
  };
  const plain = { ...layout, shapes: [], annotations: [], showlegend: false };
  plain.margin = { ...layout.margin, t: 8, b: 40 };
  Plotly.react(pane, [trace], plain, config);
};

const choices = byId("pinned-here");
const choose = (here) => {
  const buttons = here.trials.map((trial) => {
    const button = element("button", named(trial));
    if (trial === pinned) button.setAttribute("aria-current", "true");
    button.onclick = () => {
      pin(trial, here);
      choices.querySelector("[aria-current]").focus();
    };
    return button;
  });
  const several = buttons.length > 1;
  choices.replaceChildren(
    ...(several ? [element("span", `${count(buttons.length)}:`), ...buttons] : []),
    ...here.words.map((text) => element("span", `At the same point: ${text}`, "fine")),
  );
  choices.hidden = !several && !here.words.length;
};
// here: what lies at the same point; reveal: whether the table of all trials goes to its row
const pin = (trial, here = null, reveal = false) => {
  pinned = trial;
  panel.hidden = false;
  const [plot] = plots, at = PLACES[plot.id](trial);
  choose(here || (at.includes(null) ? { trials: [], words: [] } : under(plot, place(plot, ...at))));
  const also = trial.front ? ", on the front" : "";
  byId("pinned-name").textContent = `${named(trial)}: ${words(trial.status)}${also}`;
  breakable(Object.assign(byId("pinned-block"), { textContent: "" }), trial.block);
  const drawing = drawings[trial.block];
  byId("drawing").replaceChildren(
    ...(drawing ? new DOMParser().parseFromString(drawing, "text/html").body.childNodes : []),
  );
  for (const svg of byId("drawing").children) svg.style.width = `${svg.viewBox.baseVal.width}px`; // text stays legible
  facts(byId("pinned-facts"), [
    ["val error", trial.val_error === null ? "none" : `${percent(trial.val_error)} %`],
    ["estimate of its block", estimated(trial)],
    ...(trial.front ? [["may be the best", { true: "yes", false: "no" }[data.may_be_best[trial.position]] || "not known"]] : []),
    ["seed", trial.seed],
    ["epochs", trial.epochs],
    ["images", whole(trial.images)],
    ["seconds", whole(trial.seconds)],
    ["chosen by", trial.sampler],
    ...(trial.reason ? [["reason", trial.reason]] : []),
    ["architecture", trial.arch_id],
    ["network trained", trial.net_id],
    ["measurement", trial.replay_of || trial.key],
  ]);
  fill(byId("pinned-costs"), [
    ["reference (SKNet-50, 224×224)", `${giga(trial.ref_macs)} GFLOPs`, `${mega(trial.ref_params)} M`],
    ["proxy (trained)", `${mega(trial.proxy_macs)} M mult-adds`, `${kilo(trial.proxy_params)} k`],
  ]);
  fill(
    byId("pinned-places"),
    data.places[trial.block].map(([table, nearest, params, macs, matched]) => [
      `Table ${table}: ${nearest}`, signed(macs), signed(params), matched ? "yes" : "no",
    ]),
  );
  const command = exportCommand(trial);
  byId("export").hidden = !command;
  byId("export-command").textContent = command;
  drawCurve();
  plots.forEach(ring);
  markRow(reveal);
};

const copy = async (button, text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(element("textarea", text));
    area.select();
    document.execCommand("copy"); // where the clipboard is closed to files
    area.remove();
  }
  const label = button.dataset.label || (button.dataset.label = button.textContent);
  button.textContent = "copied";
  setTimeout(() => (button.textContent = label), 1500);
};
byId("copy-block").onclick = (event) => copy(event.target, pinned.block);
byId("copy-json").onclick = (event) => copy(event.target, asJson(pinned));
byId("copy-export").onclick = (event) => copy(event.target, exportCommand(pinned));

// -- the table of all trials
const STEP = 100;
const CELLS = {
  number: String, origin: null, block: null, status: null, val_error: percent, ref_macs: giga, ref_params: mega,
  proxy_macs: mega, proxy_params: kilo, epochs: String, seed: String, seconds: whole, reason: String,
};
const table = byId("all-trials"), search = byId("filter-text"), status = byId("filter-status");
const onlyFront = byId("filter-front"), more = byId("more");
const hay = trials.map((t) => `${named(t)} ${t.block} ${words(t.status)} ${t.origin} ${t.reason}`.toLowerCase());
let order = { column: "position", down: false }, found = trials, length = STEP;

const compare = (a, b) => {
  const x = a[order.column], y = b[order.column];
  if (x === null || y === null) return (x === null) - (y === null); // what has no value comes last
  const way = x < y ? -1 : x > y ? 1 : 0;
  return (order.down ? -way : way) || a.position - b.position;
};
const rowOf = (trial) => {
  const row = element("tr", "", trial.front ? "onfront" : "");
  row.dataset.position = trial.position;
  row.tabIndex = 0;
  for (const [name, write] of Object.entries(CELLS)) {
    const cell = element("td", write ? write(trial[name]) : "", table.dataset.numbers.split(" ").includes(name) ? "n" : name);
    if (name === "origin") cell.textContent = kind(trial);
    if (name === "block") cell.append(breakable(element("code"), trial.block));
    if (name === "status") cell.replaceChildren(element("span", words(trial.status), `status ${trial.status}`));
    row.append(cell);
  }
  return row;
};
const markRow = (reveal) => {
  for (const row of table.tBodies[0].rows) {
    const own = pinned !== null && Number(row.dataset.position) === pinned.position;
    row.classList.toggle("pinned", own);
    if (own && reveal) row.parentElement.parentElement.parentElement.scrollTop = row.offsetTop - 120;
  }
};
const show = () => {
  const shown = found.slice(0, length);
  if (pinned && found.includes(pinned) && !shown.includes(pinned)) shown.push(pinned);
  table.tBodies[0].replaceChildren(...shown.map(rowOf));
  byId("count").textContent = `${whole(Math.min(length, found.length))} of ${whole(found.length)} shown, ${whole(trials.length)} in all`;
  more.hidden = found.length <= length;
  markRow(false);
};
const filter = () => {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = trials.filter(
    (t) =>
      wanted.every((word) => hay[t.position].includes(word)) &&
      (!status.value || t.status === status.value) &&
      (!onlyFront.checked || t.front),
  );
  found.sort(compare);
  length = STEP;
  show();
};
const chosen = (event) => {
  const row = event.target.closest("tr[data-position]");
  if (!row || (event.type !== "click" && event.key !== "Enter")) return;
  pin(trials[Number(row.dataset.position)]);
  panel.scrollIntoView({ block: "nearest" });
};
table.tBodies[0].onclick = table.tBodies[0].onkeydown = chosen;
for (const input of [search, status, onlyFront]) input.oninput = filter;
more.onclick = () => ((length += 10 * STEP), show());
for (const head of table.tHead.querySelectorAll("button")) {
  head.onclick = () => {
    order = { column: head.dataset.column, down: order.column === head.dataset.column && !order.down };
    for (const each of table.tHead.querySelectorAll("th")) each.removeAttribute("aria-sort");
    head.parentElement.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    filter();
  };
}
for (const link of document.querySelectorAll("[data-pin]")) link.onclick = () => pin(trials[Number(link.dataset.pin)], null, true);

// -- begin
filter();
await drawAll(() => pinned && drawCurve());
plots.forEach(tracked);
if (data.best !== null) pin(trials[data.best]);
