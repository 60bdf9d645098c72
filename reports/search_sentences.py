"""Search sentences: what the report of a search says in plain words, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from backtests.searches.forward import Forward
from backtests.searches.search_text import undefined_text
from backtests.searches.sweeps import MOST_BLOCKS, Sweep
from backtests.searches.tuning import Tuned
from foundation.chain import Head
from reports import formats
from reports.catalogue import CATALOGUE
from reports.heat_maps import label
from reports.sentences import Banner

# Of fewer trades than this a ratio is mostly the luck of single ones.
LEAST_TRADES = 30


def sweep_banners(found: Sweep, overfitting: float) -> list[Banner]:
    """What stands against the chosen setting, then the odds that choosing helped nothing."""
    made: list[Banner] = []
    if found.chosen is not None:
        made = [*_losing(found), *few_trades(_metric(found, "trades"), "The chosen setting"), *_edges(found)]
    return [*made, *_overfitted(found, overfitting)]


def _losing(found: Sweep) -> list[Banner]:
    level = _level(found)
    if level > 0.0:
        return []
    text = (
        f"The best plateau is {formats.ratio(level)}: each setting, or one beside it on the grid, earned nothing after "
        "costs. The best of such settings is no choice; another rule, forecast or range may be."
    )
    return [Banner("warned", "No setting stands on ground that earns.", text)]


def few_trades(trades: float, who: str) -> list[Banner]:
    """That a ratio rests on too few trades; nothing where there are enough."""
    if not trades < LEAST_TRADES:
        return []
    made = "no trade" if trades == 0 else formats.counted(trades, "trade")
    text = (
        f"{who} made {made}; below {LEAST_TRADES} a ratio is mostly the luck of single ones. Take more bars or a lower "
        'strategy.threshold; crossgate tune --constraint "trades>=100" leaves out settings that seldom trade.'
    )
    return [Banner("warned", "Too few trades to tell anything.", text)]


def _edges(found: Sweep) -> list[Banner]:
    if not found.at_edges or found.chosen is None:
        return []
    point = found.grid.point(found.chosen)
    named = " and ".join(f"{label(name)} {point[name]}" for name in found.at_edges)
    text = (
        f"Nothing was tried beyond {named}, so the plateau is not known to go on there. Widen the grid at that end "
        "before you trust it."
    )
    return [Banner("plain", "The best plateau lies at the end of the grid.", text)]


def _overfitted(found: Sweep, overfitting: float) -> list[Banner]:
    if math.isnan(overfitting):
        return []
    sample = f" of a sample of {MOST_BLOCKS:,} settings" if len(found) > MOST_BLOCKS else ""
    text = (
        f"Of all ways to halve the time{sample}, in {overfitting:.0%} the setting with the best Sharpe ratio in one "
        "half was at or below the middle of all settings in the other. One half is what chance alone gives."
    )
    if overfitting >= 0.4:
        return [Banner("warned", "Choosing the best of these settings helps little.", text)]
    if overfitting >= 0.1:
        return [Banner("plain", "Choosing among these settings helps, but not surely.", text)]
    # Settings that all lose can keep their order, too.
    kind = "evident" if found.chosen is not None and _level(found) > 0.0 else "plain"
    return [Banner(kind, "What was good in one half of the time was good in the other.", text)]


def _level(found: Sweep) -> float:
    return math.nan if found.chosen is None else float(found.plateau[found.chosen])


def _metric(found: Sweep, name: str) -> float:
    values = found.table[name].to_dict()
    return math.nan if found.chosen is None else float(values.get(found.chosen, math.nan))


def sweep_lead(found: Sweep) -> str:
    """What the sweep comes to, in two sentences."""
    count = f"{len(found):,} settings of {formats.counted(len(found.grid.axes), 'parameter')} were played"
    peak = found.best("sharpe", 1)["sharpe"].to_list()
    if not peak or math.isnan(peak[0]):
        return f"{count}; none of them made a trade."
    highest = formats.ratio(float(peak[0]))
    if found.chosen is None:
        return f"{count}. The best Sharpe ratio is {highest}; no setting has neighbours that all traded."
    number = found.chosen
    values = ", ".join(f"{label(name)} {value}" for name, value in found.grid.point(number).items())
    level, own = formats.ratio(_level(found)), formats.ratio(float(found.sharpe[number]))
    return (
        f"{count}. The best plateau is at {values}: its Sharpe ratio is {own}, and no neighbour's is below {level}. "
        f"The highest ratio anywhere is {highest}."
    )


def tuned_banners(found: Tuned) -> list[Banner]:
    """What stands against the best trial, and what its figures are not yet."""
    made = [
        Banner(
            "plain", "The best of many looks better than it is.",
            f"The ledger holds {found.trials:,} trials on these contracts and times. Choose on the past and judge on "
            "what follows with --walk-forward 5 before you believe a figure here.",
        )
    ]  # fmt: skip
    if found.best:
        return [*few_trades(float(found.table["trades"].to_dict()[found.best[0]]), "The best trial"), *made]
    kept = constraint_words(found)
    text = f"{' '.join(kept)} Loosen the bound that few trials keep, or search a wider space."
    return [Banner("warned", "No trial kept all constraints.", text), *made] if kept else made


def constraint_words(found: Tuned) -> list[str]:
    """For each constraint how many trials kept it, and which came nearest where none did."""
    told = []
    for one in found.goals.constraints:
        values = found.table[one.metric].astype(float).dropna()
        kept = int((values <= one.bound).sum() if one.most else (values >= one.bound).sum())
        write = CATALOGUE[one.metric].write
        near = "" if kept or values.empty else f", the nearest had {write(values.min() if one.most else values.max())}"
        name, bound = CATALOGUE[one.metric].label, f"{'at most' if one.most else 'at least'} {write(one.bound)}"
        told.append(f"{name} {bound}: {kept:,} of {len(found):,} trials{near}.")
    return told


def forward_banners(found: Forward) -> list[Banner]:
    """The verdict on a walk-forward tuning: what was left, on the bars that followed, of the ratio chosen by."""
    outside, inside, trades = found.curve.sharpe, found.inside, int(found.folds["trades"].sum())
    if math.isnan(inside):
        text = "No setting kept the constraints before any fold. Loosen them, or give the first fold more bars."
        return [Banner("plain", "Nothing was traded.", text)]
    few = few_trades(trades, "What was chosen before each fold")
    if math.isnan(outside):
        return few
    text = (
        f"The values chosen had a Sharpe ratio of {formats.ratio(inside)} on the past they were chosen by, and of "
        f"{formats.ratio(outside)} on the bars that followed."
    )
    if outside <= 0.0:
        return [Banner("warned", "What was chosen on the past lost afterwards.", text), *few]
    if outside < 0.5 * inside:
        return [Banner("warned", "Less than half of the ratio lasted.", text), *few]
    return [*few, Banner("plain" if few else "evident", "Most of the ratio lasted.", text)]


def undefined_words(found: Sweep | Tuned, metrics: Sequence[str], what: str) -> list[str]:
    """How many settings, or trials, were refused, and how many have no value of some metrics; none for none."""
    refused = found.refused if isinstance(found, Tuned) else 0
    told = [f"{formats.counted(refused, 'trial')} had values that contradict each other: refused, not played."]
    names = {name: "plateau" if name == "plateau" else metric_words(name) for name in metrics}
    counts = {names[name]: found.undefined.get(name, 0) for name in metrics}
    return [*(told if refused else []), *filter(None, [undefined_text(counts, len(found), what)])]


def metric_words(metric: str) -> str:
    """A metric within a sentence."""
    words = CATALOGUE[metric].label
    return words if words in ("Sharpe", "Sortino", "Calmar", "CAGR") else words[0].lower() + words[1:]


def counted(head: Head) -> str:
    """When the trials of a tile were counted, such as "as of 2026-03-01 12:00 UTC"; nothing where that is not known."""
    return f"as of {head.written[:16]} UTC" if head.written else ""


def settings_words(values: Mapping[str, Any]) -> str:
    """Some values as options of a command: --set risk.stop_loss=2% --set risk.leverage=3."""
    return " ".join(f"--set {quote(f'{name}={value}')}" for name, value in values.items())


def next_words(config: Path, data: Path | None, overrides: Sequence[str], values: Mapping[str, Any]) -> str:
    """The command that plays a setting of a search as a run: with the config, data and --set of the search."""
    kept = [one for one in overrides if one.partition("=")[0].strip() not in values]
    folder = f"--data {quote(str(data))}" if data is not None else ""
    words = [quote(str(config)), folder, *(f"--set {quote(one)}" for one in kept), settings_words(values)]
    return " ".join(["next: crossgate backtest", *filter(None, words)])


def banners(found: Tuned | Forward) -> list[Banner]:
    """What stands above the report of a tuning of either kind."""
    return tuned_banners(found) if isinstance(found, Tuned) else forward_banners(found)


def chosen_values(found: Tuned | Forward) -> Mapping[str, Any]:
    """The values of the best trial, or of a walk-forward those that the next bars would be traded with; {} for none."""
    if isinstance(found, Tuned):
        return found.values(found.best[0]) if found.best else {}
    return found.known
