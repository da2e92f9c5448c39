// Puts the views together, as the address says.
const wanted = restore();
filter();
propose();
await drawAll(() => pinned && drawCurve());
plots.forEach(tracked);
zoomable();
redrawFront();
if (kept.length) showTray();
if (wanted || data.best !== null) pin(wanted || trials[data.best]);
restoring = false;
