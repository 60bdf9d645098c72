"use strict";
// Starts the page: where a browser lacks something, the figures drawn beforehand stay.
(async function () {
  const source = document.getElementById("run-data");
  if (!source || !("DecompressionStream" in window)) return;
  const data = await report.unpackAll(JSON.parse(source.textContent));
  document.documentElement.classList.add("live");
  const panel = document.getElementById("chart-panel");
  const chart = new report.Chart(panel, data);
  report.chart = chart;
  const table = document.getElementById("trades-panel");
  if (table && data.trades.rows.length) {
    report.trades = new report.Trades(table, data.trades, (trade) => {
      chart.jump(trade);
      const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      panel.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    });
  }
  document.documentElement.dataset.ready = "true";
})();
