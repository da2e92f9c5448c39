// The pinned trial: all that is known of it, beside the plot.
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
const here = (trial) => {
  const [plot] = plots, at = PLACES[plot.id](trial);
  return at.includes(null) ? { trials: [], words: [] } : under(plot, place(plot, ...at));
};
const pin = (trial, found = null, reveal = false) => {
  pinned = trial;
  panel.hidden = false;
  choose(found || here(trial));
  const also = trial.front ? ", on the front" : "";
  byId("pinned-name").textContent = `${named(trial)}: ${words(trial.status)}${also}`;
  breakable(Object.assign(byId("pinned-block"), { textContent: "" }), trial.block);
  byId("drawing").replaceChildren(...drawn(trial));
  facts(byId("pinned-facts"), [
    ["val error", trial.val_error === null ? "none" : `${percent(trial.val_error)} %`],
    ["estimate of its block", estimated(trial)],
    ...(trial.front ? [["may be the best", { true: "yes", false: "no" }[data.may_be_best[trial.position]] || "not known"]] : []),
    ...(data.confirmed[trial.block] ? [["test error, confirmed", `${percent(data.confirmed[trial.block].test)} %`]] : []),
    ...TRAITS.map((name) => [name, trait(trial[name])]),
    ["d at each stage", trait(trial.d)],
    ["seed", trial.seed],
    ["epochs", trial.epochs],
    ["images", whole(trial.images)],
    ["reference activations", `${mega(trial.ref_activations)} M`],
    ...(trial.ref_latency_ms == null ? [] : [["reference latency", `${milliseconds(trial.ref_latency_ms)} ms (${data.latency})`]]),
    ["seconds", whole(trial.seconds)],
    ["chosen by", trial.sampler],
    ...(trial.reason ? [["reason", trial.reason]] : []),
    ["architecture", trial.arch_id],
    ["network trained", trial.net_id],
    ["measurement", trial.replay_of || trial.key],
  ]);
  fill(byId("pinned-costs"), [
    [`reference (${data.reference})`, `${flops(trial.ref_macs)} ${UNIT}`, `${mega(trial.ref_params)} M`],
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
  markChosen();
  plots.forEach(ring);
  markRow(reveal);
  keep();
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
  button.dataset.label ??= button.textContent;
  const { label } = button.dataset;
  button.textContent = "copied";
  setTimeout(() => (button.textContent = label), 1500);
};
byId("copy-block").onclick = (event) => copy(event.target, pinned.block);
byId("compare").onclick = () => tray(pinned);
byId("copy-json").onclick = (event) => copy(event.target, asJson(pinned));
byId("copy-export").onclick = (event) => copy(event.target, exportCommand(pinned));
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy(button, button.dataset.copy);
