"""Verification: a run played again by every driver of the exchange and by the witness, and the certificate of it.

The drivers share the compiled rules of the exchange; the witness shares nothing with them but the values that a run is
made from: candles, forecasts, the contract and the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtests.run.agreement import TOLERANCE, Account, farthest, first_difference
from backtests.run.own_strategy import OwnParams
from backtests.run.solo import account_of, play_solo
from crossgate.config import load_config
from crossgate.job import load_markets, make_forecasts, play_config
from crossgate.reproduction import changes, read_record
from crossgate.side_files import data_folder
from crossgate.witnessing import playback_of, witnessed
from foundation.files import atomic_file
from foundation.progress import progress
from markets.candles import utc
from models.own_features import own_registry
from reports.parting import read_tables
from reports.report import CERTIFICATE, write_json
from reports.settings import provenance
from witness import WitnessTrader

FAST, STOCK, KERNEL, WITNESS = "Backtrader, fast loop", "Backtrader, its own loop", "kernel", "plain-Python witness"
ORDERS_ALONE = "plain-Python witness, given the strategy's orders"
BY_HAND = "the strategy is written by hand: its decisions are in no rule that it knows"


@dataclass(frozen=True)
class Check:
    """One driver against the run as it was kept.

    `fills`: how many it made. `equity_apart`: the largest distance at one bar, a fraction. `parts_at`: the open of the
    first bar at which they part, UTC, and `parts`: what differs there, first the kept run's; '' where nothing does.
    `tolerance`: how far the numbers of fills may lie apart, a fraction; 0: they are the same doubles.
    """

    driver: str
    fills: int
    equity_apart: float
    parts_at: str = ""
    parts: str = ""
    tolerance: float = 0.0


@dataclass(frozen=True)
class Certificate:
    """What `crossgate verify` found: the run as kept, each driver against it, and what it is made from.

    `left_out`: the drivers that the run was not held to, and why.
    """

    run: str
    start: str
    bars: int
    fills: int
    checks: tuple[Check, ...]
    made_from: dict[str, Any]
    changed: dict[str, tuple[str, str]]
    left_out: dict[str, str]

    @property
    def agreed(self) -> bool:
        """Whether every driver made the same fills and the same equity at every bar."""
        return not any(one.parts for one in self.checks)

    def record(self) -> dict[str, Any]:
        """The certificate as JSON can hold it."""
        return {**asdict(self), "agreed": self.agreed, "tolerance": TOLERANCE}

    def lines(self) -> list[str]:
        """The certificate in words."""
        lines = [f"{self.run}: {self.bars:,} bars from {self.start} UTC, {self.fills:,} fills"]
        for one in self.checks:
            if one.parts:
                lines.append(f"  {one.driver}: parts at {one.parts_at} UTC, {one.parts}")
            else:
                same = f"the same {one.fills:,} fills (bar, side, price, quantity, reason, fee, cash)"
                same += f" to {one.tolerance:.0e}" if one.tolerance else ""
                lines.append(f"  {one.driver}: {same}, equity within {one.equity_apart:.1e} at every bar")
        lines += [f"  {name}: not held to it, {why}" for name, why in self.left_out.items()]
        lines += [f"  {name}: {kept} then, {now} now" for name, (kept, now) in self.changed.items()]
        versions = self.made_from["versions"]
        chosen = ", ".join(f"{name} {versions[name]}" for name in ("crossgate", "backtrader", "numba", "numpy"))
        prints = [*self.made_from["markets"].items(), ("forecasts", self.made_from["forecasts"])]
        lines.append(f"  made from: {chosen}; {', '.join(f'{name} {content}' for name, content in prints)}")
        return lines


@own_registry()
def verify_run(folder: Path, data: Path | None = None) -> Certificate:
    """The certificate of the run in a folder, which is kept there too, as certificate.json.

    From the folder's config the run is played by Backtrader in both loops, by the compiled kernel and by the
    plain-Python witness, and each is held against the fills and the equity that the folder keeps. Of a strategy written
    by hand the witness is given the orders, and the kernel is left out. `data`: the data folder, see `load_market`.
    Raises DataError for a run that was made in Python, and whatever a run of that config raises.
    """
    kept, config = read_record(folder), load_config(folder / "config.toml")
    tables, markets = read_tables(folder), load_markets(config, data_folder(folder, data))
    forecasts, results = make_forecasts(config, markets), []
    expected = account_of_tables(tables)

    def by_backtrader(loop: Any) -> Account:
        results.append(play_config(config, markets, forecasts, config.record(), loop))
        return account_of(results[-1])

    drivers: dict[str, Callable[[], Account]] = {
        FAST: lambda: by_backtrader("fast"),
        STOCK: lambda: by_backtrader("stock"),
    }
    parts: Any = (markets, forecasts, config.strategy, config.risk, config.account, config.costs)
    by_hand = isinstance(config.strategy, OwnParams)
    if not by_hand:
        drivers[KERNEL] = lambda: play_solo(*parts).account()
    shown = progress(drivers.items(), "Playing the run again", len(drivers))
    checks = [_check(driver, expected, play()) for driver, play in shown]
    own, made = results[0].own, provenance(results[0])
    last = (ORDERS_ALONE, playback_of(own)) if own is not None else (WITNESS, WitnessTrader(*parts))
    checks.append(_check(last[0], expected, witnessed(last[1]), TOLERANCE))
    start, counts = utc(int(expected.stamps[0])), (len(expected.stamps), len(expected.fills))
    left_out = {KERNEL: BY_HAND} if by_hand else {}
    certificate = Certificate(str(folder), start, *counts, tuple(checks), made, changes(kept, made), left_out)
    with atomic_file(folder / CERTIFICATE) as scratch:
        scratch.write_text(write_json(certificate.record()), "utf-8")
    return certificate


def account_of_tables(tables: Any) -> Account:
    """The fills and the equity of a run folder's tables."""
    stamps = tables["equity"]["timestamp"].astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    return Account(tables["fills"], stamps, tables["equity"]["equity"].to_numpy())


def _check(driver: str, expected: Account, found: Account, near: float = 0.0) -> Check:
    difference, apart = first_difference(expected, found, near), farthest(expected, found)
    if difference is None:
        return Check(driver, len(found.fills), apart, tolerance=near)
    return Check(driver, len(found.fills), apart, utc(difference.timestamp), difference.text, near)
