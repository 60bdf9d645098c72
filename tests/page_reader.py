"""What tests do with a page in a browser: open it, listen to it, measure its contrast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

READY = "html[data-ready=true]"
# Every text that is shown, with the colours that are computed for it and for what lies behind it.
CONTRASTS = """() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script") || !element.checkVisibility()) continue;
    if (element.matches(":disabled, :disabled *") || element.closest(".canvas")) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    const lights = [light(over(rgba(colour), behind)), light(behind)].sort((a, b) => b - a);
    found.push([node.data.trim().slice(0, 40), (lights[0] + 0.05) / (lights[1] + 0.05)]);
  }
  return found;
}"""


class Opened(NamedTuple):
    """A page, and what it said and asked for while it was open."""

    page: Any
    errors: list[str]
    requests: list[str]


@contextmanager
def open_page(browser: Any, path: Path, *, width: int = 1180, ready: bool = True, **options: Any) -> Iterator[Opened]:
    """A page in a context of its own; `options` are those of a context, such as color_scheme."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **options)
    page = context.new_page()
    opened = Opened(page, [], [])
    page.on("console", lambda message: opened.errors.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(path.as_uri())
    if ready:
        page.wait_for_selector(READY, state="attached")
    yield opened
    context.close()


def faint_texts(page: Any) -> list[tuple[str, float]]:
    """The texts in view whose contrast with what is behind them is below 4.5 : 1."""
    measured = page.evaluate(CONTRASTS)
    assert len(measured) > 200, "hardly any text was found on the page"
    return [(text, round(ratio, 2)) for text, ratio in measured if ratio < 4.5]
