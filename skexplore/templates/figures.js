// Draws the figures of a page. Colours come from the style sheet, for light, dark and print.
const byId = (id) => document.getElementById(id);
const unpack = async (id) => {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};
const element = (name, text = "", classes = "") => {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = classes;
  return made;
};
document.head.append(element("script", await unpack("packed-plotly")));
const figures = JSON.parse(await unpack("packed-figures"));

const LIGHT_ACCENT = /#0072B2/g; // too dim on the dark page
const saved = (plot, format) => {
  const figure = { data: plot.data, layout: { ...plot.layout, paper_bgcolor: color("--page") } };
  const { width, height } = plot.getBoundingClientRect();
  return Plotly.downloadImage(figure, { format, filename: `${document.title.split(" ")[0]}-${plot.id}`, width, height, scale: format === "png" ? 2 : 1 });
};
const pictures = ["svg", "png"].map((format) => ({
  name: format, title: `save as ${format.toUpperCase()}`, icon: Plotly.Icons[format === "svg" ? "disk" : "camera"], click: (plot) => saved(plot, format),
}));
const bar = matchMedia("(hover: none)").matches || "hover"; // always there where nothing hovers
const config = { displayModeBar: bar, displaylogo: false, modeBarButtons: [pictures], responsive: true, doubleClick: false };
const narrow = matchMedia("(max-width: 599px)");
const plots = [...document.querySelectorAll(".plot[data-figure]")];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const read = new Map(); // figures in the accent of now: they are drawn many times, and long to read
const styled = (json) => {
  const accent = color("--accent");
  if (read.get(json)?.accent !== accent) read.set(json, { accent, ...JSON.parse(json.replace(LIGHT_ACCENT, accent)) });
  const traces = read.get(json).data.map((trace) => ({ ...trace })), layout = structuredClone(read.get(json).layout);
  const size = narrow.matches ? 11 : 13;
  layout.font = { ...layout.font, color: color("--ink"), size };
  layout.hoverlabel = {
    ...layout.hoverlabel,
    bgcolor: color("--panel"),
    bordercolor: color("--rule"),
    font: { color: color("--ink"), size: narrow.matches ? 11 : 12 },
  };
  if (narrow.matches) {
    layout.margin = { ...layout.margin, l: 40, r: 6 };
    layout.xaxis.title.font.size = layout.yaxis.title.font.size = size;
    layout.xaxis.nticks = 5;
    for (const axis of [layout.yaxis, layout.yaxis2]) if (axis) axis.tickfont = { ...axis.tickfont, size: 10 };
    layout.annotations = (layout.annotations || []).filter((each) => !["crowded", "anchor"].includes(each.name));
  }
  return [traces, layout];
};
const VIEWS = {}; // what a page makes of a figure, by its plot
const draw = (plot) => {
  const own = plot.dataset.figure === "buttons" ? { ...config, displayModeBar: false } : config; // it has its own
  return Plotly.react(plot, ...(VIEWS[plot.id] || ((same) => same))(styled(figures[plot.id])), own);
};
// draws every figure, and again where colours or the room change; "also" redraws what a page has besides
const drawAll = async (also = () => {}) => {
  await Promise.all(plots.map(draw));
  const redraw = () => {
    for (const plot of plots) draw(plot);
    return also();
  };
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
};
