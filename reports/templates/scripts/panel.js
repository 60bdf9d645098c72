"use strict";
// What all charts of a page share: their ground, their time scale, and how one moves along it.
report.Panel = class {
  constructor(panel) {
    this.panel = panel;
    this.box = panel.querySelector(".canvas");
    this.readout = panel.querySelector(".readout");
    this.chart = LightweightCharts.createChart(this.box, {
      autoSize: true,
      layout: { attributionLogo: true, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 },
      timeScale: {
        timeVisible: true, secondsVisible: false, minBarSpacing: 0.001, enableConflation: true, rightOffset: 2,
        // A phone that is turned shows the same bars.
        lockVisibleTimeRangeOnResize: true,
      },
      crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
      localization: { locale: "en-GB", dateFormat: "dd MMM yyyy" },
      // The wheel alone belongs to the page; with Ctrl, as when fingers pinch, it zooms.
      handleScroll: { mouseWheel: false, vertTouchDrag: false },
      handleScale: { mouseWheel: false },
    });
    this.formats = {
      percent: { type: "custom", minMove: 0.0001, formatter: (value) => report.percent(value) },
      money: { type: "custom", minMove: 1e-5, formatter: (value) => report.amount(value, 0) },
      plain: { type: "custom", minMove: 1e-8, formatter: (value) => report.short(value) },
    };
  }

  add(kind, pane, options) {
    return this.chart.addSeries(kind, { priceLineVisible: false, lastValueVisible: false, ...options }, pane);
  }

  points(times, values) {
    return Array.from(times, (time, at) => ({ time, value: values[at] }));
  }

  // Factors of a pane: equal steps upwards mean equal growth where equity grew tenfold.
  scaleMoney(pane, low, high) {
    // Beyond a ten-thousandth all is lost, and a scale of factors would have no marks left for the rest.
    if (low > 0 && high >= 10 * low && high < 1e4 * low) {
      this.chart.priceScale("right", pane).applyOptions({ mode: LightweightCharts.PriceScaleMode.Logarithmic });
    }
  }

  // Names in the corners of the panes from one on.
  addTitles(first) {
    this.titles = this.chart.panes().slice(first).map((pane) =>
      LightweightCharts.createTextWatermark(pane, { horzAlign: "left", vertAlign: "top", lines: [] }));
  }

  // Puts the colours of the page on the ground of the chart, and the names of its panes.
  paintGround(names) {
    const { colour, faint } = report;
    const line = { color: colour("rule") };
    this.chart.applyOptions({
      layout: {
        background: { type: "solid", color: colour("paper") }, textColor: colour("muted"),
        panes: { separatorColor: colour("rule"), separatorHoverColor: faint("muted", 0.2) },
      },
      grid: { vertLines: line, horzLines: line },
      rightPriceScale: { borderColor: colour("rule") },
      timeScale: { borderColor: colour("rule") },
      crosshair: {
        vertLine: { color: colour("muted"), labelBackgroundColor: colour("muted") },
        horzLine: { color: colour("muted"), labelBackgroundColor: colour("muted") },
      },
    });
    this.titles.forEach((title, at) => title.applyOptions({
      lines: [{ text: names[at], color: colour("muted"), fontSize: 12, fontFamily: getComputedStyle(document.body).fontFamily }],
    }));
  }

  // The times of all bars, as the chart numbers them.
  times() {
    return this.market.time;
  }

  // Shows the last `bars` bars.
  span(bars) {
    const count = this.times().length;
    this.reveal(count - bars, count);
  }

  // Shows every bar, with room at the left for half of the first label, which would be cut there.
  all() {
    const scale = this.chart.timeScale(), count = this.times().length;
    scale.setVisibleLogicalRange({ from: -count * 30 / Math.max(scale.width(), 200), to: count + 1.5 });
  }

  // Shows the bars from one row to another.
  reveal(from, to) {
    this.chart.timeScale().setVisibleLogicalRange({ from: from - 0.5, to: to + 1.5 });
  }

  // Pans by a share of what is in view, or zooms; the bar at the share `about` of the width stays where it is.
  move(shift, zoom, about = 0.5) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const width = range.to - range.from;
    const wanted = Math.min(Math.max(width * zoom, 10), 1.2 * this.times().length);
    const from = range.from + shift * width + about * (width - wanted);
    this.chart.timeScale().setVisibleLogicalRange({ from, to: from + wanted });
  }
};
