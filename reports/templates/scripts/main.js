"use strict";
// The page of a run: its chart, and the trades that lead to their bars.
report.start((data) => {
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
});
