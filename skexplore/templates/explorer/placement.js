// Which published table trials are placed on: one at a time in the list, and in the plot the others faint.
const TABLES = [...document.querySelectorAll("#place [data-table]")].map((pane) => pane.dataset.table);
const PLACED = { table: TABLES[0] };
const placement = byId("placement");
const tableOf = (trace) => /^Table (\d+)$/.exec(trace.name || "")?.[1];
VIEWS.placement = ([traces, layout]) => [
  traces.map((trace) => (tableOf(trace) && tableOf(trace) !== PLACED.table ? { ...trace, opacity: 0.25 } : trace)), layout,
];
const showPlaced = () => {
  for (const pane of document.querySelectorAll("#place [data-table]")) pane.hidden = pane.dataset.table !== PLACED.table;
  for (const button of byId("tables").children) button.setAttribute("aria-pressed", String(button.dataset.of === PLACED.table));
};
byId("tables").replaceChildren(
  ...TABLES.map((table) => {
    const button = Object.assign(element("button", `Table ${table}`), { type: "button" });
    button.dataset.of = table;
    button.onclick = () => {
      PLACED.table = table;
      showPlaced();
      keep();
      draw(placement);
    };
    return button;
  }),
);
showPlaced();
