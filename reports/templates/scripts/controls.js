"use strict";
// The controls of the chart, and the words beside it.
report.number = (value, digits) =>
  (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value)
    .toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
report.percent = (value, digits = Math.abs(value) < 0.01 && value !== 0 ? 2 : 1) => `${report.number(100 * value, digits)}%`;
// Money of any size: a coin's worth needs more digits than a dollar's.
report.amount = (value, most = 2) => {
  const size = Math.abs(value);
  return report.number(value, size >= 1000 || value === 0 ? Math.min(most, 2) : size >= 10 ? 2 : 5);
};
report.short = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 4 }).replace("-", "−");
report.moment = (seconds) => new Date(1000 * seconds).toISOString().slice(0, seconds % 60 ? 19 : 16).replace("T", " ");

// One bar as pairs of a name and a value.
report.describe = function (chart, at) {
  const { market, data } = chart;
  const price = (value) => report.number(value, market.decimals);
  const row = report.rowOf(data.account.time, market.time[at]);
  const pairs = [
    ["Open", price(market.open[at])], ["High", price(market.high[at])],
    ["Low", price(market.low[at])], ["Close", price(market.close[at])],
  ];
  if (row >= 0) {
    pairs.push(["Equity", report.amount(data.account.equity[row])]);
    pairs.push(["Drawdown", report.percent(data.account.drawdown[row])]);
  }
  if (market.position[at] !== 0) pairs.push(["Position", report.short(market.position[at])]);
  if (!Number.isNaN(market.liquidation[at])) {
    const away = market.liquidation[at] / market.close[at] - 1;
    const ranges = Number.isNaN(market.ranges[at]) ? "" : `, ${report.number(market.ranges[at], 1)} ATR`;
    pairs.push(["Liquidation", `${price(market.liquidation[at])} (${report.percent(away)}${ranges} away)`]);
  }
  if (row >= 0 && data.account.margin[row] > 0) pairs.push(["Margin in use", report.percent(data.account.margin[row])]);
  if (market.lower && !Number.isNaN(market.lower[at])) {
    pairs.push([`Forecast, ${market.level}`, `${price(market.lower[at])} to ${price(market.upper[at])}`]);
  }
  const said = pairs.map(([name, value]) => `<span><b>${name}</b> ${value}</span>`);
  return `<span><time>${report.moment(market.time[at])}</time></span>${said.join("")}`;
};

report.connectControls = function (chart) {
  const { panel, box } = chart;
  const on = (selector, event, act) => {
    for (const one of panel.querySelectorAll(selector)) one.addEventListener(event, () => act(one));
  };
  on("[data-days]", "click", (button) => {
    const time = chart.times();
    if (button.dataset.days === "all") return chart.all();
    const from = time[time.length - 1] - 86400 * Number(button.dataset.days);
    chart.span(Math.min(time.length, Math.max(10, time.length - 1 - report.rowOf(time, from))));
  });
  on("[data-step]", "click", (button) => chart.step(Number(button.dataset.step)));
  on("[data-zoom]", "click", (button) => chart.move(0, Number(button.dataset.zoom)));
  on("[data-layer]", "change", (input) => chart.layer(input.dataset.layer, input.checked));
  on("select", "change", (select) => {
    chart.show(Number(select.value));
    chart.all();
  });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    chart.move(0, Math.exp(event.deltaY / 300), (event.clientX - box.getBoundingClientRect().left) / box.clientWidth);
  }, { passive: false });
  const count = () => chart.times().length;
  const keys = {
    ArrowLeft: () => chart.move(-0.15, 1), ArrowRight: () => chart.move(0.15, 1),
    "+": () => chart.move(0, 0.7), "=": () => chart.move(0, 0.7), "-": () => chart.move(0, 1 / 0.7),
    Home: () => chart.reveal(0, 200), End: () => chart.reveal(count() - 200, count()),
    "0": () => chart.all(),
  };
  if (chart.step) Object.assign(keys, { n: () => chart.step(1), p: () => chart.step(-1) });
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
};
