"""Verification: a run played again by every driver of the exchange, and the certificate of what they agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtests.agreement import TOLERANCE, Account, farthest, first_difference
from backtests.own_strategy import OwnParams
from backtests.solo import account_of, play_solo
from crossgate.config import load_config
from crossgate.job import load_markets, make_forecasts, play_config
from crossgate.reproduction import changes, read_record
from crossgate.side_files import data_folder
from foundation.files import atomic_file
from foundation.progress import progress
from markets.candles import utc
from models.own_features import own_registry
from reports.parting import read_tables
from reports.report import CERTIFICATE, write_json
from reports.settings import provenance


@dataclass(frozen=True)
class Check:
    """One driver against the run as it was kept.

    `fills`: how many it made. `equity_apart`: the largest distance at one bar, a fraction. `parts_at`: the open of the
    first bar at which they part, UTC, and `parts`: what differs there, first the kept run's; '' where nothing does.
    """

    driver: str
    fills: int
    equity_apart: float
    parts_at: str = ""
    parts: str = ""


@dataclass(frozen=True)
class Certificate:
    """What `crossgate verify` found: the run as kept, each driver against it, and what it is made from."""

    run: str
    start: str
    bars: int
    fills: int
    checks: tuple[Check, ...]
    made_from: dict[str, Any]
    changed: dict[str, tuple[str, str]]

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
                lines.append(f"  {one.driver}: {same}, equity within {one.equity_apart:.1e} at every bar")
        lines += [f"  {name}: {kept} then, {now} now" for name, (kept, now) in self.changed.items()]
        versions = self.made_from["versions"]
        chosen = ", ".join(f"{name} {versions[name]}" for name in ("crossgate", "backtrader", "numba", "numpy"))
        prints = [*self.made_from["markets"].items(), ("forecasts", self.made_from["forecasts"])]
        lines.append(f"  made from: {chosen}; {', '.join(f'{name} {content}' for name, content in prints)}")
        return lines


@own_registry()
def verify_run(folder: Path, data: Path | None = None) -> Certificate:
    """The certificate of the run in a folder, which is kept there too, as certificate.json.

    From the folder's config the run is played by Backtrader in both loops and, but for a strategy written by hand, by
    the compiled kernel, and each is held against the fills and the equity that the folder keeps. `data`: the data
    folder, see `load_market`. Raises DataError for a run that was made in Python, and whatever a run of that config
    raises.
    """
    kept, config = read_record(folder), load_config(folder / "config.toml")
    tables, markets = read_tables(folder), load_markets(config, data_folder(folder, data))
    forecasts, made = make_forecasts(config, markets), {}
    expected = account_of_tables(tables)

    def by_backtrader(loop: Any) -> Account:
        result = play_config(config, markets, forecasts, config.record(), loop)
        made.update(provenance(result))
        return account_of(result)

    drivers: dict[str, Callable[[], Account]] = {
        "Backtrader, fast loop": lambda: by_backtrader("fast"),
        "Backtrader, its own loop": lambda: by_backtrader("stock"),
    }
    if not isinstance(config.strategy, OwnParams) and forecasts is not None:
        parts = markets, forecasts, config.strategy, config.risk, config.account, config.costs
        drivers["kernel"] = lambda: play_solo(*parts).account()
    shown = progress(drivers.items(), "Playing the run again", len(drivers))
    checks = tuple(_check(driver, expected, play()) for driver, play in shown)
    start = utc(int(expected.stamps[0]))
    certificate = Certificate(
        str(folder), start, len(expected.stamps), len(expected.fills), checks, made, changes(kept, made)
    )
    with atomic_file(folder / CERTIFICATE) as scratch:
        scratch.write_text(write_json(certificate.record()), "utf-8")
    return certificate


def account_of_tables(tables: Any) -> Account:
    """The fills and the equity of a run folder's tables."""
    stamps = tables["equity"]["timestamp"].astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    return Account(tables["fills"], stamps, tables["equity"]["equity"].to_numpy())


def _check(driver: str, expected: Account, found: Account) -> Check:
    difference, apart = first_difference(expected, found), farthest(expected, found)
    if difference is None:
        return Check(driver, len(found.fills), apart)
    return Check(driver, len(found.fills), apart, utc(difference.timestamp), difference.text)
