"""The gallery in docs/: every shipped config run as it is, with its figures and pictures, made by `make gallery`.

    .venv/bin/python benchmarks/gallery.py --data DIR

Runs whose data is not in DIR keep what the gallery said of them before. It needs a Chromium on the path and playwright,
because a report is a web page. Nothing is tuned for it: the configs are the ones in backtests/configs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossgate.config import load_config
from crossgate.job import run_job
from foundation.errors import CrossgateError
from reports import formats
from reports.catalogue import CATALOGUE, figure
from reports.verdict import place

TREE = Path(__file__).resolve().parent.parent
CONFIGS, DOCS = TREE / "backtests" / "configs", TREE / "docs"
IMAGES, RECORDS = DOCS / "images", DOCS / "images" / "gallery.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHOWN = ("total_return", "sharpe", "max_drawdown", "trades", "skill")
HEAD = """# Gallery

What the shipped configs come to, as they are: `make gallery DATA=DIR` runs each of them, draws these pictures and
writes this page. Nothing was tuned to look well. The demo market is synthetic, with a weak predictability planted in
it; the other markets are recorded candles. A Sharpe ratio is given from 30 days on: less cannot be annualised.

| run | """
LOOKS = """
## What a report looks like

The chart of the demo run: candles, trades with their stops and targets, the forecast interval, then equity, drawdown
and position under one crosshair.

![The chart of a report](images/chart.png)

The same report in dark colours, and on a phone:

![The chart in dark colours](images/chart-dark.png)

![The report on a phone](images/phone.png)
"""


def main() -> None:
    """Runs the configs, takes the pictures and writes docs/gallery.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the data folder; else $CROSSGATE_DATA, else ./data")
    parser.add_argument("--out", type=Path, default=TREE / "runs" / "gallery", help="where the runs are written")
    parser.add_argument("only", nargs="*", help="names of configs; all of them when left out")
    given = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    records: dict[str, Any] = json.loads(RECORDS.read_text("utf-8")) if RECORDS.is_file() else {}
    for config in sorted(CONFIGS.glob("*.toml")):
        if given.only and config.stem not in given.only:
            continue
        try:
            settings = load_config(config, (), given.data)
            _, page = run_job(settings, given.out / config.stem, given.data)
        except (CrossgateError, OSError) as error:
            print(f"{config.stem} is left as it was: {error}", file=sys.stderr)
            continue
        records[config.stem] = record_of(page.parent)
        shrink(page.parent / "equity.png", IMAGES / f"{config.stem}.png")
        if config.stem == "demo":
            photograph(page)
        RECORDS.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n", "utf-8")
    (DOCS / "gallery.md").write_text(gallery(records), "utf-8")
    print(DOCS / "gallery.md")


def record_of(folder: Path) -> dict[str, Any]:
    """What the gallery says of a run."""
    metrics, run, verdict = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("metrics", "run", "verdict")
    )
    said = verdict["verdict"]
    return {
        "name": run["name"],
        "markets": sorted(run["markets"]),
        "bars": metrics["bars"],
        "metrics": {name: figure(metrics, name) for name in SHOWN},
        "hold": CATALOGUE["total_return"].write(metrics["baselines"]["buy and hold"]["total_return"]),
        "rung": said["rung"],
        "headline": said["headline"],
        "reason": said["reason"],
    }


def gallery(records: dict[str, Any]) -> str:
    """The page: a table of all runs, then each with its verdict and its equity."""
    records = dict(sorted(records.items()))
    heads = [*(CATALOGUE[name].label for name in SHOWN), "Buy and hold", "Verdict"]
    lines = [f"{HEAD}{' | '.join(heads)} |", f"| :-- |{' --: |' * (len(heads) - 1)} :-- |"]
    for one in records.values():
        cells = [*(one["metrics"][name] for name in SHOWN), one["hold"], f"rung {one['rung']}: {one['headline']}"]
        lines.append(f"| [{one['name']}](#{anchor(one['name'])}) | {' | '.join(cells)} |")
    for stem, one in records.items():
        lines += [
            "",
            f"## {one['name']}",
            "",
            f"`backtests/configs/{stem}.toml`: {', '.join(one['markets'])}, {formats.count(one['bars'])} bars played.",
            f"{place(one['rung']).capitalize()}. {one['headline']} {one['reason']}",
            "",
            f"![Equity of {one['name']} over that of simpler rules](images/{stem}.png)",
        ]
    return "\n".join(lines) + "\n" + LOOKS


def anchor(title: str) -> str:
    """The address that a heading has on a Markdown page."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def photograph(page: Path) -> None:
    """The pictures of a report: its top, its chart in light and dark, and how it looks on a phone."""
    with opened(page, 1180, "light") as tab:
        save(tab.screenshot(clip={"x": 0, "y": 0, "width": 1180, "height": 1500}, full_page=True), "report")
        to_trade(tab)
        save(tab.locator("#chart-panel").screenshot(), "chart")
    with opened(page, 1180, "dark") as tab:
        to_trade(tab)
        save(tab.locator("#chart-panel").screenshot(), "chart-dark")
    with opened(page, 375, "light") as tab:
        shots = [tab.screenshot()]
        tab.locator(".readout").scroll_into_view_if_needed()
        to_trade(tab)
        shots.append(tab.screenshot())
        save(beside(shots), "phone")


def to_trade(tab: Any) -> None:
    """Shows a trade near the end of the run in the chart."""
    tab.evaluate("report.chart.jump(Math.max(0, report.chart.data.trades.rows.length - 3))")
    tab.wait_for_timeout(300)


@contextmanager
def opened(page: Path, width: int, scheme: str) -> Iterator[Any]:
    """A page in a browser without a window."""
    from playwright.sync_api import sync_playwright

    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("the pictures need Chromium on the path")
    with sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = window.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce",
            device_scale_factor=1 if width > 600 else 1.5,
        )  # fmt: skip
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=true]", state="attached")
        yield tab
        window.close()


def beside(shots: Sequence[bytes]) -> bytes:
    """Pictures of one height beside one another."""
    import io

    from PIL import Image

    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    gap = 24
    whole = Image.new("RGB", (sum(one.width + gap for one in pictures) - gap, pictures[0].height), "white")
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + gap
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def save(shot: bytes, name: str) -> None:
    """A picture in docs/images."""
    path = IMAGES / f"{name}.png"
    path.write_bytes(shot)
    shrink(path, path)


def shrink(source: Path, target: Path) -> None:
    """A picture with 128 colours and at most 1,180 points wide, a quarter of its size."""
    from PIL import Image

    picture = Image.open(source).convert("RGB")
    if picture.width > 1180:
        picture = picture.resize((1180, round(picture.height * 1180 / picture.width)))
    picture.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
