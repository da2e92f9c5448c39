// The tray: up to four blocks side by side, with what differs marked.
const MOST = 4;
let kept = [];
const tray = (trial) => {
  if (kept.includes(trial)) return;
  kept = [...kept, trial].slice(-MOST);
  showTray();
};
// how far the true error of one block is from that of another, by draws of both together
const HALF = 1.645; // standard deviations to either end of 90 %
const apart = (t, other) => {
  const [own, theirs] = [t, other].map((each) => data.draws[each.block]);
  if (t.block === other.block || !own || !theirs) return "–";
  const differences = own.map((error, i) => error - theirs[i]), n = differences.length;
  const mean = 100 * (data.estimates[t.block].estimate - data.estimates[other.block].estimate);
  const middle = differences.reduce((a, b) => a + b) / n;
  const sd = Math.sqrt(differences.reduce((sum, each) => sum + (each - middle) ** 2, 0) / (n - 1));
  const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  return `${points(mean)} points (90 %: ${points(mean - HALF * sd)} to ${points(mean + HALF * sd)})`;
};
const facing = (t) => [
  ...TRAITS.map((name) => [name, trait(t[name])]),
  ["d at each stage", trait(t.d)],
  ["estimate", estimated(t)],
  ...(Object.keys(data.draws).length && kept.length > 1 ? [[`error against ${named(kept[0])}`, apart(t, kept[0])]] : []),
  ["val error", t.val_error === null ? "none" : `${percent(t.val_error)} %`],
  [`reference ${UNIT}`, flops(t.ref_macs)],
  ["reference #P, M", mega(t.ref_params)],
  ["reference activations, M", mega(t.ref_activations)],
  ...(data.latency ? [["reference latency, ms", milliseconds(t.ref_latency_ms)]] : []),
];
const showTray = () => {
  const pane = byId("tray"), columns = kept.map(facing);
  pane.hidden = !kept.length;
  byId("tray-cards").replaceChildren(
    ...kept.map((trial, i) => {
      const card = element("div", "", "card"), list = element("dl", "", "list"), remove = element("button", "remove");
      remove.type = "button";
      remove.setAttribute("aria-label", `remove ${named(trial)}`);
      remove.onclick = () => {
        kept = kept.filter((each) => each !== trial);
        showTray();
      };
      const title = element("p", "", "buttons"), show = element("button", named(trial));
      show.type = "button";
      show.onclick = () => pin(trial);
      title.append(show, remove);
      const picture = element("div", "", "picture");
      picture.append(...drawn(trial));
      Object.assign(picture, { tabIndex: 0 });
      picture.setAttribute("role", "region");
      picture.setAttribute("aria-label", `Drawing of ${named(trial)}`);
      facts(list, columns[i]);
      columns[i].forEach(([, value], row) => {
        if (columns.some((column) => column[row][1] !== value)) list.children[2 * row + 1].className = "differs";
      });
      const name = element("p");
      name.append(breakable(element("code"), trial.block));
      card.append(title, name, picture, list);
      return card;
    }),
  );
  keep();
};
byId("tray-empty").onclick = () => {
  kept = [];
  showTray();
};
