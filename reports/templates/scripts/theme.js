"use strict";
// Light or dark: the system's choice until the reader makes another, which this browser then keeps.
(function () {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try { return localStorage.getItem("crossgate-theme"); } catch { return null; }
  };
  const keep = (theme) => {
    try { localStorage.setItem("crossgate-theme", theme); } catch { /* a page opened without storage forgets */ }
  };
  // A colour of the page's palette as it is now, remembered until the theme changes.
  const known = new Map();
  report.colour = (name) => {
    if (!known.has(name)) known.set(name, getComputedStyle(root).getPropertyValue(`--${name}`).trim());
    return known.get(name);
  };
  // The same, seen through.
  report.faint = (name, share) => {
    const [red, green, blue] = report.colour(name).match(/[0-9a-f]{2}/gi).map((one) => parseInt(one, 16));
    return `rgba(${red}, ${green}, ${blue}, ${share})`;
  };

  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const tell = () => {
    known.clear();
    for (const button of document.querySelectorAll(".theme")) {
      button.textContent = shown() === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${shown() === "dark" ? "light" : "dark"} colours`);
    }
    for (const listener of report.listeners) listener();
  };

  // Paper cannot be opened: what is folded is printed unfolded, and folded again.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open], .define, .layers)")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });

  const chosen = kept();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  dark.addEventListener("change", tell);
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll(".theme")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        root.dataset.theme = shown() === "dark" ? "light" : "dark";
        keep(root.dataset.theme);
        tell();
      });
    }
    tell();
  });

})();
