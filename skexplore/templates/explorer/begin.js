// Puts the views together, as the address says.
const wanted = restore();
filter();
propose();
await drawAll(() => (drawSlices(), pinned && drawCurve()));
await drawSlices();
plots.forEach(tracked);
sliced();
zoomable();
redrawFront();
if (kept.length) showTray();
if (wanted || data.best !== null) pin(wanted || trials[data.best]);
restoring = false;
