"use strict";
// The chart: candles over equity, drawdown and position, on one time scale and under one crosshair.
report.Chart = class extends report.Panel {
  constructor(panel, data) {
    super(panel);
    this.data = data;
    this.layers = { trades: true, levels: true, forecast: true, liquidation: true, baselines: false, fit: false };
    this.number = 0;
    this.addSeries();
    this.marks = new report.Marks(data.trades, this.layers);
    this.series.price.attachPrimitive(this.marks);
    this.fillAccount();
    this.show(0);
    this.paint();
    report.listeners.push(() => this.paint());
    this.chart.subscribeCrosshairMove((event) => this.tell(event.time));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.tell());
    report.connectControls(this);
    this.span(Math.min(this.market.time.length, 400));
  }

  addSeries() {
    const { CandlestickSeries, LineSeries, BaselineSeries } = LightweightCharts;
    const { percent, money, plain } = this.formats;
    const add = (kind, pane, options) => this.add(kind, pane, options);
    this.series = {
      price: add(CandlestickSeries, 0, { borderVisible: false }),
      equity: add(LineSeries, 1, { lineWidth: 2, priceFormat: money }),
      drawdown: add(BaselineSeries, 2, { lineWidth: 1, priceFormat: percent }),
      position: add(BaselineSeries, 3, { lineWidth: 1, lineType: 1, priceFormat: plain }),
    };
    this.baselines = this.data.baselines.map((one, at) =>
      add(LineSeries, 1, { lineWidth: 1, lineStyle: [2, 1, 3][at % 3], priceFormat: money, crosshairMarkerVisible: false }));
    this.chart.panes().forEach((pane, at) => pane.setStretchFactor([6, 2, 1.3, 1.1][at]));
    this.chart.priceScale("right", 2).applyOptions({ scaleMargins: { top: 0.15, bottom: 0.08 } });
    this.addTitles(1);
  }

  fillAccount() {
    const { account, baselines } = this.data;
    this.series.equity.setData(this.points(account.time, account.equity));
    this.series.drawdown.setData(this.points(account.time, account.drawdown));
    const [low, high] = account.equity.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, 0]);
    this.scaleMoney(1, low, high);
    baselines.forEach((one, at) => this.baselines[at].setData(this.points(one.time, one.equity)));
  }

  // Puts the candles and positions of one market in the chart.
  show(number) {
    const market = this.data.markets[number];
    this.market = market;
    this.number = number;
    const { time, open, high, low, close, position } = market;
    // The readout has all digits; an axis needs five.
    const digits = close[close.length - 1] >= 1000 ? Math.max(0, market.decimals - 2) : market.decimals;
    const price = Array.from(time, (one, at) => ({
      time: one, open: open[at], high: high[at], low: low[at], close: close[at],
    }));
    this.series.price.applyOptions({
      priceFormat: { type: "custom", minMove: 10 ** -digits, formatter: (value) => report.number(value, digits) },
    });
    this.series.price.setData(price);
    const brief = time.length > 1 && time[1] - time[0] < 60;
    this.chart.applyOptions({ timeScale: { secondsVisible: brief } });
    this.series.position.setData(this.points(time, position));
    this.marks.show(market, number);
  }

  // Puts the colours of the page on the chart.
  paint() {
    const { colour, faint } = report;
    this.paintGround([`Equity, ${this.data.currency}`, "Drawdown", "Position"]);
    const [up, down] = [colour("rise"), colour("fall")];
    this.series.price.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.series.equity.applyOptions({ color: colour("run") });
    this.series.drawdown.applyOptions({
      topLineColor: colour("loss"), bottomLineColor: colour("loss"),
      bottomFillColor1: faint("loss", 0.08), bottomFillColor2: faint("loss", 0.3),
    });
    this.series.position.applyOptions({
      topLineColor: colour("rise"), topFillColor1: faint("rise", 0.35), topFillColor2: faint("rise", 0.35),
      bottomLineColor: colour("fall"), bottomFillColor1: faint("fall", 0.35), bottomFillColor2: faint("fall", 0.35),
    });
    this.baselines.forEach((one, at) =>
      one.applyOptions({ color: colour(["first", "second", "third"][at % 3]), visible: this.layers.baselines }));
    this.marks.update();
  }

  layer(name, on) {
    this.layers[name] = on;
    this.paint();
  }

  // Shows a trade in the middle of its surroundings, and marks it.
  jump(trade) {
    const { opened, closed, market } = this.data.trades;
    if (market[trade] !== this.number) {
      this.show(market[trade]);
      const select = this.panel.querySelector("select");
      if (select) select.value = String(market[trade]);
    }
    const { time } = this.market;
    const first = report.rowOf(time, opened[trade]);
    const last = closed[trade] ? report.rowOf(time, closed[trade]) : time.length - 1;
    const margin = Math.max(40, Math.round((last - first) * 0.6));
    this.reveal(first - margin, last + margin);
    this.marks.choose(trade);
    this.tell(time[first]);
  }

  // Moves to the trade before or after the one that is marked.
  step(way) {
    const own = this.marks.own;
    if (!own.length) return;
    const at = own.indexOf(this.marks.chosen);
    const next = at < 0 ? (way < 0 ? own.length - 1 : 0) : Math.min(own.length - 1, Math.max(0, at + way));
    this.jump(own[next]);
  }

  // Says in words what stands under the crosshair, else what the last bar in view shows.
  tell(moment) {
    const { time } = this.market;
    const range = this.chart.timeScale().getVisibleRange();
    const at = report.rowOf(time, moment ?? (range ? range.to : time[time.length - 1]));
    if (at >= 0) this.readout.innerHTML = report.describe(this, at);
  }
};
