"use strict";
// The table of trades: sorted, filtered and leafed through; a row's number leads to its bar in the chart.
report.Trades = class {
  constructor(panel, trades, jump) {
    this.panel = panel;
    this.trades = trades;
    this.jump = jump;
    this.size = 25;
    this.page = 0;
    this.sorted = { key: "number", way: -1 };
    this.body = panel.querySelector("tbody");
    this.status = panel.querySelector(".status");
    this.chosen = -1;
    this.addHeads();
    this.addFilters();
    for (const button of panel.querySelectorAll("[data-page]")) {
      button.addEventListener("click", () => this.turn(Number(button.dataset.page)));
    }
    this.body.addEventListener("click", (event) => this.pick(event.target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.walk(event));
    this.refresh();
  }

  addHeads() {
    const row = this.panel.querySelector("thead tr");
    this.heads = this.trades.heads.map((label, at) => {
      const head = document.createElement("th");
      head.scope = "col";
      if (this.trades.words.includes(at)) head.className = "text";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", () => this.sort(this.trades.keys[at]));
      head.append(button);
      row.append(head);
      return head;
    });
  }

  addFilters() {
    this.filters = {};
    for (const select of this.panel.querySelectorAll("[data-filter]")) {
      const name = select.dataset.filter;
      this.filters[name] = select;
      if (name === "reason") {
        for (const reason of [...new Set(this.trades.reason)].sort()) select.add(new Option(reason, reason));
      }
      select.addEventListener("change", () => {
        this.page = 0;
        this.refresh();
      });
    }
  }

  // The rows that pass the filters, in order.
  rows() {
    const { long, reason, profit, number } = this.trades;
    const { side, reason: exit, outcome } = Object.fromEntries(
      Object.entries(this.filters).map(([name, select]) => [name, select.value]));
    const kept = Array.from(number).filter((at) =>
      (!side || (side === "long") === (long[at] === 1)) && (!exit || reason[at] === exit)
      && (!outcome || (outcome === "profit") === profit[at] > 0));
    const values = this.trades[this.sorted.key];
    const way = this.sorted.way;
    // What has no value comes last, whichever way is sorted.
    const compare = (one, other) => {
      const [a, b] = [values[one], values[other]];
      if (typeof a === "string") return way * a.localeCompare(b);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return way * (a - b);
    };
    return kept.sort((one, other) => compare(one, other) || one - other);
  }

  sort(key) {
    this.sorted = { key, way: this.sorted.key === key ? -this.sorted.way : key === "number" ? -1 : 1 };
    this.page = 0;
    this.refresh();
  }

  turn(pages) {
    this.page += pages;
    this.refresh();
  }

  refresh() {
    const rows = this.rows();
    const last = Math.max(0, Math.ceil(rows.length / this.size) - 1);
    this.page = Math.min(Math.max(this.page, 0), last);
    const begin = this.page * this.size;
    this.body.replaceChildren(...rows.slice(begin, begin + this.size).map((trade) => this.row(trade)));
    this.heads.forEach((head, at) => {
      const own = this.trades.keys[at] === this.sorted.key;
      head.setAttribute("aria-sort", own ? (this.sorted.way > 0 ? "ascending" : "descending") : "none");
    });
    const total = this.trades.number.length;
    const some = rows.length ? `${begin + 1} to ${Math.min(begin + this.size, rows.length)} of ` : "";
    const all = rows.length < total ? ` that match, of ${total.toLocaleString("en-US")}` : "";
    this.status.textContent = `${some}${rows.length.toLocaleString("en-US")} trades${all}`;
    for (const button of this.panel.querySelectorAll("[data-page]")) {
      button.disabled = Number(button.dataset.page) < 0 ? this.page === 0 : this.page === last;
    }
  }

  row(trade) {
    const row = document.createElement("tr");
    row.dataset.trade = trade;
    if (trade === this.chosen) row.classList.add("chosen");
    this.trades.rows[trade].forEach((text, at) => {
      const cell = document.createElement(at ? "td" : "th");
      const classes = [this.trades.words.includes(at) ? "text" : ""];
      if (this.trades.keys[at] === "profit") classes.push(this.trades.tones[trade]);
      cell.className = classes.join(" ").trim();
      if (at) cell.textContent = text;
      else {
        cell.scope = "row";
        const button = document.createElement("button");
        button.type = "button";
        button.className = "jump";
        button.textContent = text;
        button.setAttribute("aria-label", `Trade ${text}: show it in the chart`);
        cell.append(button);
      }
      row.append(cell);
    });
    return row;
  }

  pick(row) {
    if (!row) return;
    this.chosen = Number(row.dataset.trade);
    for (const one of this.body.rows) one.classList.toggle("chosen", one === row);
    this.jump(this.chosen);
  }

  // Arrow keys go from row to row.
  walk(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = way && event.target.closest("tr")[way];
    if (!next) return;
    event.preventDefault();
    next.querySelector("button").focus();
  }
};
