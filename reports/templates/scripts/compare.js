"use strict";
// The page of a comparison: its curves.
report.start((data) => {
  report.chart = new report.Curves(document.getElementById("chart-panel"), data);
});
