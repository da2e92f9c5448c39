// The table of all trials, and which of them it leaves: the plot of the front fades the others.
const STEP = 100;
const CELLS = {
  number: String, origin: null, block: null, M: trait, kernels: trait, groups: trait, r: trait, L: trait, fuse: trait,
  status: null, val_error: percent, ref_macs: flops, ref_params: mega, proxy_macs: mega, proxy_params: kilo,
  epochs: String, seed: String, seconds: whole, reason: String,
};
const table = byId("all-trials"), search = byId("filter-text"), status = byId("filter-status");
const onlyFront = byId("filter-front"), more = byId("more");
const INPUTS = { find: search, status, front: onlyFront };
const hay = trials.map((t) => `${named(t)} ${t.block} ${words(t.status)} ${t.origin} ${t.reason}`.toLowerCase());
let order = { column: "position", down: false }, found = trials, length = STEP;
let matching = new Set(trials.map((t) => t.position));
const brushes = new Map(); // what each view has chosen, as positions

// -- the query: words to be found, and conditions such as M=3 gflops<4.3 r=8
const FIELDS = {
  ...Object.fromEntries(TRAITS.map((name) => [name.toLowerCase(), (t) => t[name]])),
  gflops: (t) => t.ref_macs / 1e9, mflops: (t) => t.ref_macs / 1e6, params: (t) => t.ref_params / 1e6,
  activations: (t) => t.ref_activations / 1e6, latency: (t) => t.ref_latency_ms, proxy: (t) => t.proxy_macs / 1e6,
  error: (t) => (t.val_error === null ? null : 100 * t.val_error),
  estimate: (t) => (data.estimates[t.block] ? 100 * data.estimates[t.block].estimate : null),
  seed: (t) => t.seed, epochs: (t) => t.epochs, seconds: (t) => t.seconds, trial: (t) => (beside(t) ? null : t.number),
  status: (t) => t.status, sampler: (t) => t.sampler, origin: kind,
};
const CONDITION = /^([a-z]+)(<=|>=|!=|<|>|=)(.+)$/i;
const TESTS = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "=": (a, b) => a === b, "!=": (a, b) => a !== b };
const asked = (text) =>
  text.split(/\s+/).filter(Boolean).map((word) => {
    const [, name, sign, value] = CONDITION.exec(word) || [], of = name && FIELDS[name.toLowerCase()];
    if (!of) return (t) => hay[t.position].includes(word.toLowerCase());
    const number = Number(value), digits = Math.min(10, (value.split(".")[1] || "").length);
    return (t) => {
      const own = of(t);
      if (own == null) return false;
      if (typeof own !== "number" || Number.isNaN(number)) return TESTS[sign](String(own).toLowerCase(), value.toLowerCase());
      return "!=".includes(sign) ? TESTS[sign](own.toFixed(digits), number.toFixed(digits)) : TESTS[sign](own, number); // as it is shown
    };
  });
const proposals = [
  ...TRAITS.flatMap((name) => [...new Set(trials.map((t) => trait(t[name])))].filter((value) => value !== "–").slice(0, 12).map((value) => `${name}=${value}`)),
  "gflops<", "params<", ...(data.latency ? ["latency<"] : []), "estimate<", "error<", "sampler=", "origin=",
];
const propose = () => {
  const begun = search.value.replace(/\S*$/, "");
  byId("queries").replaceChildren(...proposals.map((text) => Object.assign(element("option"), { value: begun + text })));
};

// -- rows
const compare = (a, b) => {
  const x = a[order.column], y = b[order.column];
  if (x == null || y == null) return (x == null) - (y == null); // what has no value comes last
  const way = typeof x === "number" && typeof y === "number" ? x - y : inOrder(String(x), String(y));
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
  const tests = asked(search.value);
  found = trials.filter(
    (t) =>
      tests.every((test) => test(t)) &&
      (!status.value || t.status === status.value) &&
      (!onlyFront.checked || t.front) &&
      [...brushes.values()].every((held) => held.has(t.position)),
  );
  matching = new Set(found.map((t) => t.position));
  found.sort(compare);
  length = STEP;
  byId("unbrush").hidden = !brushes.size;
  show();
};
const refilter = async () => {
  filter();
  propose();
  keep();
  // the table first: a plot of many takes longer
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  return redrawViews();
};
const brush = (view, positions) => {
  if (positions?.size) brushes.set(view, positions);
  else brushes.delete(view);
  return refilter();
};
// takes a condition into the query, or out of it
const askFor = (condition) => {
  const asked = search.value.split(/\s+/).filter(Boolean);
  search.value = (asked.includes(condition) ? asked.filter((word) => word !== condition) : [...asked, condition]).join(" ");
  return refilter();
};
const chosen = (event) => {
  const row = event.target.closest("tr[data-position]");
  if (!row || (event.type !== "click" && event.key !== "Enter")) return;
  pin(trials[Number(row.dataset.position)]);
  panel.scrollIntoView({ block: "nearest" });
};
table.tBodies[0].onclick = table.tBodies[0].onkeydown = chosen;
for (const input of [search, status, onlyFront]) input.oninput = refilter;
byId("unbrush").onclick = () => {
  brushes.clear();
  return refilter();
};
more.onclick = () => {
  length += 10 * STEP;
  show();
};
for (const head of table.tHead.querySelectorAll("button")) {
  head.onclick = () => {
    order = { column: head.dataset.column, down: order.column === head.dataset.column && !order.down };
    for (const each of table.tHead.querySelectorAll("th")) each.removeAttribute("aria-sort");
    head.parentElement.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    filter();
  };
}
for (const link of document.querySelectorAll("[data-pin]")) link.onclick = () => pin(trials[Number(link.dataset.pin)], null, true);

// -- the selection as a file
const save = (text, name, type) => {
  const link = Object.assign(element("a"), { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const quoted = (value) => {
  const text = value == null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const columns = [...data.columns, ...TRAITS, ...(data.latency ? ["ref_latency_ms"] : [])];
byId("save-csv").onclick = () =>
  save(`${[columns.join(","), ...found.map((t) => columns.map((name) => quoted(t[name])).join(","))].join("\n")}\n`, `${data.study}.csv`, "text/csv");
byId("save-json").onclick = () =>
  save(JSON.stringify(found.map((t) => Object.fromEntries(columns.map((name) => [name, t[name]]))), null, 2), `${data.study}.json`, "application/json");
