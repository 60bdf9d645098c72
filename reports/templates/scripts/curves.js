"use strict";
// The curves of several runs: equity, drawdown, growth over the first run and rolling Sharpe, under one crosshair.
report.Curves = class extends report.Panel {
  constructor(panel, data) {
    super(panel);
    this.data = data;
    this.shown = data.runs.map(() => true);
    this.market = { time: Float64Array.from(new Set(data.runs.flatMap((run) => Array.from(run.time)))).sort() };
    this.kinds = [
      { name: `Equity, ${data.currency}`, key: "equity", format: "money", share: 4 },
      { name: "Drawdown", key: "drawdown", format: "percent", share: 2 },
      { name: `Growth over that of ${data.runs[0].name}`, key: "growth", format: "plain", share: 2 },
      { name: data.rolling, key: "rolling", format: "plain", share: 2 },
    ];
    // The last one first, so that the first run is drawn on top.
    this.lines = [];
    for (let number = data.runs.length - 1; number >= 0; number--) {
      this.lines[number] = this.kinds.map((kind, pane) => this.line(data.runs[number], kind, pane));
    }
    this.chart.panes().forEach((pane, at) => pane.setStretchFactor(this.kinds[at].share));
    for (const [pane, key] of [[0, "equity"], [2, "growth"]]) {
      const values = data.runs.flatMap((run) => Array.from(run[key]));
      this.scaleMoney(pane, values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0));
    }
    this.addTitles(0);
    this.paint();
    report.listeners.push(() => this.paint());
    this.chart.subscribeCrosshairMove((event) => this.tell(event.time));
    for (const box of panel.querySelectorAll("[data-run]")) {
      box.addEventListener("change", () => this.show(Number(box.dataset.run), box.checked));
    }
    report.connectControls(this);
    this.all();
    this.tell();
  }

  line(run, kind, pane) {
    const one = this.add(LightweightCharts.LineSeries, pane, {
      lineWidth: 2, lineStyle: run.style, priceFormat: this.formats[kind.format],
      crosshairMarkerVisible: false,
    });
    const times = run[`${kind.key}_time`] ?? run.time;
    one.setData(this.points(times, run[kind.key]));
    return one;
  }

  // Shows or hides a run in all panes.
  show(number, on) {
    this.shown[number] = on;
    for (const line of this.lines[number]) line.applyOptions({ visible: on });
    this.tell();
  }

  paint() {
    this.paintGround(this.kinds.map((kind) => kind.name));
    this.lines.forEach((lines, number) => {
      for (const line of lines) line.applyOptions({ color: report.colour(this.data.runs[number].colour) });
    });
  }

  // Says what each shown run came to at the bar under the crosshair, else at the last.
  tell(moment) {
    const time = this.times();
    const at = time[Math.max(0, report.rowOf(time, moment ?? time[time.length - 1]))];
    const said = this.data.runs.flatMap((run, number) => {
      const row = report.rowOf(run.time, at);
      if (!this.shown[number] || row < 0) return [];
      const part = document.createElement("span"), name = document.createElement("b");
      name.textContent = run.name;
      part.append(name, ` ${report.amount(run.equity[row])}, drawdown ${report.percent(run.drawdown[row])}`);
      return [part];
    });
    const when = document.createElement("time");
    when.textContent = report.moment(at);
    this.readout.replaceChildren(when, ...said);
  }
};
