"use strict";
// What is drawn over the candles: trades with their stops and targets, and the forecast band. Only what is in view.
report.Marks = class {
  constructor(trades, layers) {
    this.trades = trades;
    this.layers = layers;
    this.market = null;
    this.number = 0;
    this.chosen = -1;
    this.edges = [];
    // The row of each trade's first step, where stops move.
    let row = 0;
    this.firsts = trades.steps ? Array.from(trades.steps, (count) => (row += count) - count) : null;
  }

  attached({ chart, series, requestUpdate }) {
    this.chart = chart;
    this.series = series;
    this.update = requestUpdate;
  }

  show(market, number) {
    this.market = market;
    this.number = number;
    const { market: owner, opened, closed } = this.trades;
    this.own = [];
    for (let at = 0; at < owner.length; at++) if (owner[at] === number) this.own.push(at);
    const last = market.time[market.time.length - 1];
    this.spans = this.own.map((at) => [opened[at], closed[at] || last]);
    this.begins = this.spans.map((span) => span[0]);
    this.longest = this.spans.reduce((most, [begin, end]) => Math.max(most, end - begin), 0);
    this.update();
  }

  choose(trade) {
    this.chosen = trade;
    this.update();
  }

  paneViews() {
    return [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }

  // The rows of the market's bars that are in view.
  rows() {
    const range = this.chart.timeScale().getVisibleRange();
    if (!range || !this.market) return null;
    const last = this.market.time.length - 1;
    return [Math.max(0, report.rowOf(this.market.time, range.from)), Math.min(last, report.rowOf(this.market.time, range.to))];
  }

  draw(target) {
    const rows = this.rows();
    if (!rows) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      if (this.layers.forecast && this.market.lower && rows[1] - rows[0] <= 1500) this.drawBand(context, rows);
      this.drawTrades(context, rows);
      this.edges = [];
      if (this.layers.liquidation) {
        this.drawLiquidation(context, rows);
        this.drawEdges(context, rows, mediaSize.height);
      }
      context.restore();
    });
  }

  drawBand(context, [first, last]) {
    const { time, lower, upper } = this.market;
    const axis = this.chart.timeScale();
    context.fillStyle = report.faint("third", 0.16);
    context.strokeStyle = report.faint("third", 0.55);
    context.lineWidth = 1;
    let begin = first;
    while (begin <= last) {
      while (begin <= last && Number.isNaN(lower[begin])) begin++;
      let end = begin;
      while (end <= last && !Number.isNaN(lower[end])) end++;
      if (end > begin) {
        const xs = [], tops = [], bottoms = [];
        for (let at = begin; at < end; at++) {
          xs.push(axis.timeToCoordinate(time[at]));
          tops.push(this.series.priceToCoordinate(upper[at]));
          bottoms.push(this.series.priceToCoordinate(lower[at]));
        }
        const trace = (ys) => xs.forEach((x, at) => (at ? context.lineTo(x, ys[at]) : context.moveTo(x, ys[at])));
        context.beginPath();
        trace(tops);
        for (let at = xs.length - 1; at >= 0; at--) context.lineTo(xs[at], bottoms[at]);
        context.fill();
        for (const ys of [tops, bottoms]) {
          context.beginPath();
          trace(ys);
          context.stroke();
        }
      }
      begin = end + 1;
    }
  }

  // The liquidation price as steps, a new one wherever a position begins.
  drawLiquidation(context, [first, last]) {
    const { time, liquidation, position } = this.market;
    const axis = this.chart.timeScale();
    const step = Math.max(1, Math.floor((last - first) / 4000));
    context.strokeStyle = report.colour("loss");
    context.lineWidth = 1.5;
    context.setLineDash([2, 3]);
    context.beginPath();
    let side = 0;
    for (let at = first; at <= last; at += step) {
      if (Number.isNaN(liquidation[at])) {
        side = 0;
        continue;
      }
      const x = axis.timeToCoordinate(time[at]), y = this.series.priceToCoordinate(liquidation[at]);
      if (side === Math.sign(position[at])) context.lineTo(x, y);
      else context.moveTo(x, y);
      side = Math.sign(position[at]);
    }
    context.stroke();
    context.setLineDash([]);
  }

  // Where a liquidation price lies beyond what the pane shows: the last one in view on each side, and how far away.
  drawEdges(context, [first, last], height) {
    const { time, close, liquidation, decimals } = this.market;
    const found = new Map();
    for (let at = last; at >= first && found.size < 2; at--) {
      if (Number.isNaN(liquidation[at])) continue;
      const y = this.series.priceToCoordinate(liquidation[at]);
      const side = y === null ? 0 : y < 0 ? -1 : y > height ? 1 : 0;
      if (side && !found.has(side)) found.set(side, at);
    }
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    for (const [side, at] of found) {
      const away = liquidation[at] / close[at] - 1, price = report.number(liquidation[at], decimals);
      const where = `${report.percent(Math.abs(away))} ${away > 0 ? "above" : "below"}`;
      const text = `${side < 0 ? "↑" : "↓"} Liquidation ${price}, ${where}`;
      const width = context.measureText(text).width, middle = side < 0 ? 14 : height - 14;
      context.fillStyle = report.faint("paper", 0.88);
      context.fillRect(6, middle - 10, width + 12, 20);
      context.fillStyle = report.colour("loss");
      context.fillText(text, 12, middle);
      this.edges.push(`${report.moment(time[at])} ${text}`);
    }
  }

  // Makes room for the liquidation prices in view, where that is asked for.
  autoscaleInfo() {
    const rows = this.layers.fit && this.layers.liquidation && this.rows();
    if (!rows) return null;
    const known = this.market.liquidation.slice(rows[0], rows[1] + 1).filter((one) => !Number.isNaN(one));
    if (!known.length) return null;
    const [minValue, maxValue] = known.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
    return { priceRange: { minValue, maxValue } };
  }

  // Trades in view: those that open before its end and have not ended before its beginning.
  visible([first, last]) {
    const { time } = this.market;
    const found = [];
    let at = Math.max(0, report.rowOf(this.begins, time[first] - this.longest - 1));
    for (; at < this.own.length && this.spans[at][0] <= time[last]; at++) {
      if (this.spans[at][1] >= time[first]) found.push(at);
    }
    return found;
  }

  drawTrades(context, rows) {
    const found = this.visible(rows);
    const detailed = found.length <= 80;
    const size = detailed ? 6 : found.length <= 300 ? 4 : 2.5;
    for (const at of found) this.drawTrade(context, this.own[at], this.spans[at], detailed, size);
  }

  // A time between two bars in view is drawn at the bar that holds it.
  x(moment) {
    const { time } = this.market;
    return this.chart.timeScale().timeToCoordinate(time[Math.max(0, report.rowOf(time, moment))]);
  }

  drawTrade(context, trade, [opened, closed], detailed, size) {
    const { entry_price: entries, exit_price: exits, stop, target, profit, long, reason } = this.trades;
    const begin = this.x(opened), end = this.x(closed);
    const entry = this.series.priceToCoordinate(entries[trade]);
    const exit = Number.isNaN(exits[trade]) ? null : this.series.priceToCoordinate(exits[trade]);
    if (begin === null || entry === null) return;
    const outcome = profit[trade] > 0 ? "gain" : "loss";
    if (detailed && this.layers.levels) {
      this.zone(context, begin, end, entry, target[trade], "gain", trade === this.chosen);
      if (this.firsts && this.trades.steps[trade]) this.path(context, trade, end, entries[trade]);
      else this.zone(context, begin, end, entry, stop[trade], "loss", trade === this.chosen);
    }
    if (!this.layers.trades && trade !== this.chosen) return;
    context.lineWidth = trade === this.chosen ? 2.5 : 1.25;
    context.strokeStyle = report.colour(outcome);
    if (detailed && exit !== null && end !== null) {
      context.beginPath();
      context.moveTo(begin, entry);
      context.lineTo(end, exit);
      context.stroke();
      report.drawExit(context, end, exit, reason[trade], outcome);
    } else if (reason[trade] === "liquidation" && exit !== null && end !== null) {
      report.drawExit(context, end, exit, reason[trade], outcome);
    }
    report.drawEntry(context, begin, entry, long[trade] === 1, detailed ? "run" : outcome, size);
  }

  // A stop that moves: its level as steps, and what it left at risk, faint.
  path(context, trade, end, entry) {
    const { steps, step_time: times, step_level: levels, long } = this.trades;
    const first = this.firsts[trade], count = steps[trade], side = long[trade] ? 1 : -1;
    const y = (price) => this.series.priceToCoordinate(price);
    const xs = [], chosen = trade === this.chosen;
    for (let at = first; at < first + count; at++) xs.push(this.x(times[at]));
    if (xs.includes(null)) return;
    xs.push(Math.max(end ?? xs[count - 1], xs[count - 1] + 2));
    context.fillStyle = report.faint("loss", chosen ? 0.24 : 0.12);
    context.strokeStyle = report.colour("loss");
    context.lineWidth = chosen ? 2 : 1.25;
    context.beginPath();
    for (let at = 0; at < count; at++) {
      const level = levels[first + at], height = y(level);
      if (side * (entry - level) > 0) {
        context.fillRect(xs[at], Math.min(y(entry), height), xs[at + 1] - xs[at], Math.abs(height - y(entry)));
      }
      if (at) context.lineTo(xs[at], height);
      else context.moveTo(xs[at], height);
      context.lineTo(xs[at + 1], height);
    }
    context.stroke();
  }

  zone(context, begin, end, entry, price, colour, chosen) {
    const level = Number.isNaN(price) ? null : this.series.priceToCoordinate(price);
    if (level === null) return;
    const right = Math.max(end ?? begin, begin + 2);
    context.fillStyle = report.faint(colour, chosen ? 0.24 : 0.12);
    context.fillRect(begin, Math.min(entry, level), right - begin, Math.abs(level - entry));
    context.strokeStyle = report.colour(colour);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(begin, level);
    context.lineTo(right, level);
    context.stroke();
  }
};

// An entry: a triangle that points with the trade, ringed to stand out from the candles where there is room.
report.drawEntry = function (context, x, y, long, colour, size) {
  const way = long ? 1 : -1;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - size, y + way * size * 1.5);
  context.lineTo(x + size, y + way * size * 1.5);
  context.closePath();
  context.fillStyle = report.colour(colour);
  context.fill();
  if (size < 3) return;
  context.lineWidth = 1;
  context.strokeStyle = report.colour("paper");
  context.stroke();
};

// An exit, by its reason: target a dot, stop a cross, liquidation a filled square, anything else a ring.
report.drawExit = function (context, x, y, reason, colour) {
  context.strokeStyle = context.fillStyle = report.colour(colour);
  context.lineWidth = 2;
  context.beginPath();
  if (reason === "stop loss" || reason === "trailing stop" || reason === "break even") {
    context.moveTo(x - 4, y - 4);
    context.lineTo(x + 4, y + 4);
    context.moveTo(x - 4, y + 4);
    context.lineTo(x + 4, y - 4);
    context.stroke();
  } else if (reason === "liquidation") {
    context.fillRect(x - 5, y - 5, 10, 10);
  } else {
    context.arc(x, y, 3.5, 0, 7);
    if (reason === "take profit") context.fill();
    else context.stroke();
  }
};
