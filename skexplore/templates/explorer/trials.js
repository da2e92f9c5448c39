// The trials of a search and how the page writes their numbers. Everything shown is text (never markup) but for the
// drawings, which are made of numbers alone.
const data = JSON.parse(await unpack("packed-data"));
const drawings = JSON.parse(await unpack("packed-drawings"));

const front = new Set(data.front), eligible = new Set(data.eligible);
const trials = data.rows.map((values, position) => {
  const trial = { position, ...Object.fromEntries(data.columns.map((name, i) => [name, values[i]])) };
  return { ...trial, ...data.made_of[trial.block], curve: data.curves[position], front: front.has(position) };
});
const TRAITS = data.traits;

const fixed = (digits, unit = 1) => (value) => (value == null ? "–" : (value / unit).toFixed(digits));
const [UNIT, ONES] = data.flops; // of multiply-adds at the reference
const percent = fixed(2, 0.01), flops = fixed(3, ONES), mega = fixed(2, 1e6), kilo = fixed(1, 1e3), milliseconds = fixed(1);
const whole = (value) => Math.round(value).toLocaleString("en-US");
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)} %`;
const words = (status) => status.replace("_", " ");
const trait = (value) => (value == null ? "–" : Array.isArray(value) ? value.map(trait).join(", ") : String(value));
const inOrder = new Intl.Collator("en", { numeric: true }).compare;
const kind = (trial) => (trial.sampler === "user" ? "own block" : trial.origin); // a user's block stands with the anchors
const beside = (trial) => ["anchor", "own block", "replicate"].includes(kind(trial));
const named = (trial) => `${beside(trial) ? kind(trial) : "trial"} ${trial.number}`;
const breakable = (code, text) => {
  for (const [i, part] of text.split(";").entries()) code.append(...(i ? [";", document.createElement("wbr")] : []), part);
  return code;
};
const estimated = (t) => {
  const found = data.estimates[t.block];
  if (!found) return "none";
  const interval = found.low === null ? "" : ` (90 %: ${percent(found.low)} to ${percent(found.high)})`;
  return `${percent(found.estimate)} %${interval}, n = ${found.trainings}`;
};
const drawn = (trial) => {
  const [frame, ...texts] = drawings.blocks[trial.block] ?? [];
  const text = drawings.frames[frame]?.replaceAll("\0", () => drawings.texts[texts.shift()]);
  const made = text ? [...new DOMParser().parseFromString(text, "text/html").body.childNodes] : [];
  for (const svg of made.filter((each) => each.viewBox)) {
    const { width } = svg.viewBox.baseVal;
    Object.assign(svg.style, { width: `${width}px`, maxWidth: width > 640 ? "" : "100%" }); // text stays legible
  }
  return made;
};
