"use strict";
// Starts the page of a comparison: where a browser lacks something, the figures drawn beforehand stay.
(async function () {
  const source = document.getElementById("run-data");
  if (!source || !("DecompressionStream" in window)) return;
  const data = await report.unpackAll(JSON.parse(source.textContent));
  document.documentElement.classList.add("live");
  report.chart = new report.Curves(document.getElementById("chart-panel"), data);
  document.documentElement.dataset.ready = "true";
})();
