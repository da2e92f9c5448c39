// What was chosen stands in the address, so that it can be sent and kept: axes, colours, zoom, the pinned trial, the
// tray, and what the table leaves.
const idOf = (trial) => named(trial).replaceAll(" ", "-");
const byIdOf = (id) => trials.find((trial) => idOf(trial) === id);
let restoring = true; // nothing is written before all is drawn
const keep = () => {
  if (restoring) return;
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(view)) if (String(value) !== String(USUAL[key])) said.set(key, String(value));
  for (const [key, input] of Object.entries(INPUTS)) {
    const value = input.type === "checkbox" ? input.checked : input.value;
    if (value) said.set(key, value);
  }
  for (const [name, value] of Object.entries(SHOWN)) if (value !== FIRST[name]) said.set(name, value);
  if (pinned && pinned.position !== data.best) said.set("pin", idOf(pinned));
  if (kept.length) said.set("tray", kept.map(idOf).join(" "));
  history.replaceState(null, "", `${location.href.split("#")[0]}${said.size ? `#${said}` : ""}`);
};
const restore = () => {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return;
  const said = new URLSearchParams(hash);
  const one = (key, known) => (Object.hasOwn(known, said.get(key) ?? " ") ? { [key]: said.get(key) } : {});
  Object.assign(view, one("x", XS), one("y", ERRORS), one("color", COLORS));
  for (const key of CHECKS) view[key] = said.get(key) === "true";
  const zoom = (said.get("zoom") || "").split(",").map(Number);
  if (zoom.length === 4 && zoom.every(Number.isFinite)) view.zoom = zoom;
  for (const show of shows) show();
  for (const [key, input] of Object.entries(INPUTS)) {
    if (!said.has(key)) continue;
    if (input.type === "checkbox") input.checked = said.get(key) === "true";
    else input.value = said.get(key);
  }
  for (const [name, panes] of Object.entries(PANES)) if (Object.hasOwn(panes, said.get(name) ?? " ")) SHOWN[name] = said.get(name);
  kept = (said.get("tray") || "").split(" ").map(byIdOf).filter(Boolean).slice(0, MOST);
  return byIdOf(said.get("pin"));
};
window.addEventListener("hashchange", () => location.reload()); // another address was pasted; our own changes tell nothing
// links to sections scroll, and leave the address to what was chosen
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.onclick = (event) => {
    event.preventDefault();
    byId(link.hash.slice(1)).scrollIntoView();
  };
}
