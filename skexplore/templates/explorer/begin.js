// Puts the views together, as the address says.
const wanted = restore();
showPanes();
filter();
propose();
await drawAll(() => {
  drawSlices();
  drawParallel();
  if (pinned) drawCurve();
});
await drawSlices();
await drawParallel();
plots.forEach(tracked);
sliced();
brushed();
zoomable();
redrawFront();
if (kept.length) showTray();
if (wanted || data.best !== null) pin(wanted || trials[data.best]);
restoring = false;
