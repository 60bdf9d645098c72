"""Bars with the exits that other engines make of them: ours is the same, or one of a few stated differences.

Each case is replayed on the exchange and on the witness, which must agree on it. Where our outcome is not the
source's, a difference that docs/fills.md states must be seen in the case itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bar_cases import Case, Levels, Replay, Trade, levels_of, read_cases, side_of
from exchange_desk import ExchangeDesk
from golden_cases import FOLDER

from witness import WitnessAccount

CASES = read_cases()
# So much of the cases has our convention on the point that they test.
LEAST_EQUAL = 25 / 47
CENT = 0.011


def expected_trades(case: Case) -> list[tuple[int | None, int | None, float | None]]:
    """Entry bar, exit bar and exit price of the source; None for what it does not say, or does not do."""
    expected, prices = case["expected"], case["computed_exit_prices"]
    if "trades" in expected:
        return [
            (trade["entry_bar"], trade["exit_bar"], price)
            for trade, price in zip(expected["trades"], prices, strict=True)
        ]
    if expected["exit_bar"] is None:
        return []
    return [(None, expected["exit_bar"], expected.get("exit_price"))]


def is_equal(case: Case, ours: Replay) -> bool:
    """Whether bars, prices and money of ours are the source's."""
    theirs, expected = expected_trades(case), case["expected"]
    if len(theirs) != len(ours.trades):
        return False
    for (entry_bar, exit_bar, price), trade in zip(theirs, ours.trades, strict=True):
        if entry_bar not in (None, trade.entry_bar) or exit_bar != trade.exit_bar:
            return False
        if price is not None and abs(price - trade.exit_price) > CENT:
            return False
    money = expected.get("final_balance")
    return money is None or abs(money - ours.money) <= 1e-6 * ours.cash


def their_exit(case: Case) -> tuple[int, float]:
    """Bar and price of the source's first exit; bar -1 where it has none."""
    theirs = [(bar, price) for _, bar, price in expected_trades(case) if bar is not None]
    bar, price = theirs[0] if theirs else (-1, 0.0)
    return bar, case["computed_exit_prices"][0] if price is None else price


def their_bar(case: Case) -> Case:
    """The bar of the source's first exit."""
    bar: Case = case["bars"][their_exit(case)[0]]
    return bar


def ours_of(case: Case) -> Trade | None:
    """Our first round trip."""
    return next(iter(Replay(case, ExchangeDesk).trades), None)


def target_beyond_the_open(case: Case) -> bool:
    """The source takes the better open; a resting limit of ours fills at its limit."""
    ours, (bar, price) = ours_of(case), their_exit(case)
    better = bar >= 0 and price == their_bar(case)["o"]
    return bool(better and ours and ours.reason == "take_profit" and side_of(case) * (price - ours.exit_price) > 0)


def exits_on_the_entry_bar(case: Case) -> bool:
    """The source looks at exits from the bar after the entry on; ours are alive at once."""
    ours, (bar, _) = ours_of(case), their_exit(case)
    return bool(ours and ours.exit_bar == ours.entry_bar and bar != ours.exit_bar)


def target_after_a_resting_entry(case: Case) -> bool:
    """The source takes a target on the bar of a stop or limit entry; the way to it may lie before the entry."""
    ours, (bar, _) = ours_of(case), their_exit(case)
    resting = str(case["params"].get("entry", "")).split(" ")[-2:-1] in (["stop"], ["limit"])
    return bool(resting and bar == 0 and (ours is None or ours.exit_bar > 0))


def stop_beyond_the_open(case: Case) -> bool:
    """The source fills a stop at its level though the bar opens beyond it; ours fills at the open."""
    ours, (bar, price) = ours_of(case), their_exit(case)
    opened, side = their_bar(case)["o"], side_of(case)
    return bool(bar > 0 and ours and ours.exit_price == opened and side * (price - opened) > 0)


def trail_within_the_bar(case: Case) -> bool:
    """The source raises a stop by a bar's extreme and hits it in the same bar; ours waits for the next."""
    levels: Levels = levels_of(case)
    bar = their_bar(case)
    best = bar["h"] if side_of(case) > 0 else bar["l"]
    raised = best * (1 - side_of(case) * levels.trail)
    return bool(levels.trail and abs(their_exit(case)[1] - raised) <= CENT)


def time_exit_at_the_open(case: Case) -> bool:
    """The source ends a trade by time inside a bar, at its worst price; ours is a market order at the open."""
    ours = ours_of(case)
    return bool(ours and ours.reason == "time_exit")


def liquidated_at_its_level(case: Case) -> bool:
    """The source liquidates at the bankruptcy price; ours at the liquidation price, and keeps what is left."""
    ours = ours_of(case)
    return bool(case["expected"].get("reason") == "liquidation" and ours and ours.reason == "liquidation")


def other_path(case: Case) -> bool:
    """Both sides lie in one bar and the source takes the favourable one first: `intrabar` says which is ours."""
    ours, (bar, price), levels = ours_of(case), their_exit(case), levels_of(case)
    if ours is None or ours.exit_bar != bar or "stop" not in ours.reason:
        return False
    target = levels.target if levels.fixed else ours.entry_price * (1 + side_of(case) * levels.target)
    return abs(price - target) <= CENT


DIFFERENCES: dict[str, Callable[[Case], bool]] = {
    "A target beyond the open": target_beyond_the_open,
    "Exits on the entry bar": exits_on_the_entry_bar,
    "A target after a resting entry": target_after_a_resting_entry,
    "A stop beyond the open": stop_beyond_the_open,
    "A trail raised and hit in one bar": trail_within_the_bar,
    "An exit by time": time_exit_at_the_open,
    "The price of a liquidation": liquidated_at_its_level,
    "The path inside a bar": other_path,
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """The cases of the folder; tests that need them are skipped where there are none."""
    if not CASES:
        pytest.skip(f"no bars at {FOLDER}: set CROSSGATE_GOLDEN to a folder with cases/bar_semantics.json")
    return CASES


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_ends_as_its_source_says_or_by_a_stated_difference(case: Case) -> None:
    """Exchange and witness agree on it; what differs from the source is one of the differences of docs/fills.md."""
    exchange, witness = Replay(case, ExchangeDesk), Replay(case, WitnessAccount)
    assert [(t.entry_bar, t.exit_bar) for t in exchange.trades] == [(t.entry_bar, t.exit_bar) for t in witness.trades]
    for ours, theirs in zip(exchange.trades, witness.trades, strict=True):
        assert (ours.entry_price, ours.exit_price) == pytest.approx((theirs.entry_price, theirs.exit_price), rel=1e-12)
    assert exchange.money == pytest.approx(witness.money, rel=1e-12, abs=1e-9)
    if not is_equal(case, exchange):
        seen = [name for name, differs in DIFFERENCES.items() if differs(case)]
        assert seen, f"{case['convention']}: {case['title']}: {expected_trades(case)}, ours {exchange.trades}"


def test_most_cases_end_as_their_source_says(cases: list[Case]) -> None:
    """At least 25 of 47 have our convention on the point that they test, and our outcome is theirs."""
    equal = sum(is_equal(case, Replay(case, ExchangeDesk)) for case in cases)
    assert equal >= LEAST_EQUAL * len(cases)


# What is ours where the source's is another: bar and price of the first exit, None for a position that stays open.
OURS = {
    "bar.backtesting_py.gap_through_target": (2, 105.0),
    "bar.backtesting_py.goog_stop_entry_and_tp": None,
    "bar.backtrader.both_in_entry_bar": (1, 95.0),
    "bar.freqtrade.tc11": (3, 5000.0),
    "bar.freqtrade.tc12": (3, 4850.0),
    "bar.freqtrade.tc16": (3, 4975.0),
    "bar.freqtrade.tc18": (3, 5050.0),
    "bar.freqtrade.tc9": (4, 4680.0),
    "bar.jesse.liq_at_bankruptcy": (0, 40.32),
}


def test_our_own_outcome_is_what_is_written_here(cases: list[Case]) -> None:
    """Where we differ the outcome is this one, and these known cases are all that differ among the known ones."""
    known = {case["id"]: case for case in cases if case["id"] in OURS}
    for name, outcome in OURS.items():
        if name in known:
            ours = ours_of(known[name])
            found = None if ours is None else (ours.exit_bar, pytest.approx(ours.exit_price, abs=CENT))
            assert found == outcome, name


def test_every_difference_is_explained() -> None:
    """docs/fills.md has a row for each difference that a case may show."""
    text = (Path(__file__).resolve().parent.parent / "docs" / "fills.md").read_text("utf-8")
    for name in DIFFERENCES:
        assert f"| {name} |" in text
