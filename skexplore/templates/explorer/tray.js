// The tray: up to four blocks side by side, with what differs marked.
const MOST = 4;
let kept = [];
const tray = (trial) => {
  if (kept.includes(trial)) return;
  kept = [...kept, trial].slice(-MOST);
  showTray();
};
const facing = (t) => [
  ...TRAITS.map((name) => [name, trait(t[name])]),
  ["d at each stage", trait(t.d)],
  ["estimate", estimated(t)],
  ["val error", t.val_error === null ? "none" : `${percent(t.val_error)} %`],
  ["reference GFLOPs", giga(t.ref_macs)],
  ["reference #P, M", mega(t.ref_params)],
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
byId("tray-empty").onclick = () => ((kept = []), showTray());
