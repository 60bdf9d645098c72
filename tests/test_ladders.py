"""Trailing stops, break-even and ladders as parameters: of the shipped strategy, of a config and of the broker."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest
from simple_market import Row, market
from test_strategy import PLAIN, play, rising

from backtests import CandleFeed, FuturesBroker
from crossgate.config import build_config, load_config
from foundation.errors import ParameterError
from strategies import RiskParams

LADDER = ({"distance": "2%", "share": 0.5}, {"distance": "3%", "share": 0.25})


def closings(rows: list[Row], risk: RiskParams, side: int = 1) -> list[tuple[float, float, str]]:
    """Quantity as a part of the entry, price and reason of every closing fill of one trade entered at 104 or 96."""
    rise = rising(4, 100, side)
    result = play([*rise, *rows], [0, 0, 0, side * 0.002, *[0] * len(rows)], risk=risk)
    entry, *ends = result.fills.itertuples()
    return [(round(one.quantity / entry.quantity, 3), round(one.price, 6), one.reason) for one in ends]


def mirrored(rows: list[Row]) -> list[Row]:
    """Bars mirrored about 100."""
    return [(200 - o, 200 - lo, 200 - h, 200 - c) for o, h, lo, c in rows]


@pytest.mark.parametrize("side", [1, -1])
def test_a_ladder_takes_its_shares_and_leaves_the_rest_to_stop_or_target(side: int) -> None:
    """Half at 2 %, a quarter at 3 %, and the last quarter stopped 1 % away, or taken at 4 %."""
    rows = [(104.0, 108.0, 104.0, 107.0), (107.0, 107.0, 100.0, 101.0)]
    level = {share: round(104 + side * 104 * share, 6) for share in (0.02, 0.03, -0.01, 0.04)}
    if side < 0:
        rows = mirrored(rows)
        level = {share: 96 * (1 - share) for share in level}
    risk = PLAIN.replaced(stop_loss="1%", targets=LADDER)
    found = closings(rows, risk, side)
    assert [(share, reason) for share, _, reason in found] == [
        (0.5, "take_profit"), (0.25, "take_profit"), (0.25, "stop_loss"),
    ]  # fmt: skip
    assert [price for _, price, _ in found] == pytest.approx([level[0.02], level[0.03], level[-0.01]], abs=0.1)
    rest = closings(rows, risk.replaced(take_profit="3.5%"), side)[-1]
    assert (rest[0], rest[2]) == (0.25, "take_profit")


def test_a_trailing_stop_in_every_unit() -> None:
    """The best price of 110 less 2 %, less 4 % of margin at leverage 2, less 1 atr (of 1), less 1 sigma (of 1 %)."""
    rows = [(104.0, 110.0, 104.0, 109.9), (109.9, 109.9, 100.0, 101.0)]
    for distance, level in (("2%", 107.8), ("4%margin", 107.8), ("1atr", 109.0), ("1sigma", 108.9)):
        risk = RiskParams(
            sizing="leverage", leverage=2.0, stop_loss="6%", take_profit=None, atr_bars=1, trailing_stop=distance
        )
        assert closings(rows, risk) == [(1.0, pytest.approx(level), "trailing_stop")]


def test_a_trailing_stop_alone_is_the_stop_that_risk_is_sized_by() -> None:
    """Without a stop_loss the trailing distance counts from the entry: 1 % of equity is lost 2.5 % below it."""
    risk = RiskParams(sizing="risk", leverage=3.0, stop_loss=None, take_profit=None, atr_bars=1, trailing_stop="2.5%")
    result = play([*rising(4), (104.0, 104.0, 101.0, 101.0)], [0, 0, 0, 0.002, 0], risk=risk)
    assert result.fills["realised_pnl"].iloc[-1] == pytest.approx(-10.0, rel=0.01)


def test_break_even_and_a_later_trail() -> None:
    """At 2 % the stop moves to the entry; the trail begins at 5 % and leaves it there until then."""
    risk = PLAIN.replaced(stop_loss="3%", break_even="2%", trailing_stop="1%", trailing_after="5%")
    rows = [(104.0, 107.0, 104.0, 106.0), (106.0, 106.0, 103.0, 104.0)]
    assert closings(rows, risk) == [(1.0, 104.0, "break_even")]
    rows = [(104.0, 110.0, 104.0, 109.9), (109.9, 109.9, 103.0, 104.0)]
    assert closings(rows, risk) == [(1.0, pytest.approx(108.9), "trailing_stop")]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"break_even": "2%", "stop_loss": None, "sizing": "leverage"}, "risk.break_even = '2%': needs a stop to move"),
        ({"trailing_after": "2%"}, "risk.trailing_after = '2%': needs a trailing_stop to begin there"),
        ({"trailing_stop": "100%"}, "risk.trailing_stop = '100%': should be below 100%"),
        ({"trailing_stop": "2bps"}, "risk.trailing_stop = '2bps': should be a number with a unit"),
        ({"targets": [{"distance": "2%", "share": 0.7}] * 2}, "risk.targets: have shares that sum to 1.4"),
        ({"targets": [{"distance": "2%", "share": 0.2}] * 4}, "at most 3 items"),
        ({"targets": [{"distance": "2%", "share": 0.0}]}, "risk.targets.share = 0.0: should be greater than 0"),
        ({"targets": [{"distance": "2%"}]}, "risk.targets.share: is missing; a share of the entry"),
        ({"targets": [{"distance": "off", "share": 0.5}]}, "risk.targets.distance = 'off'"),
        ({"targets": [{"distance": "2%", "part": 0.5, "share": 0.1}]}, "risk.targets.part = 0.5: is not a known key"),
        ({"targets": "2%"}, "risk.targets = '2%': should be a list of targets"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(wrong: dict[str, Any], text: str) -> None:
    """Each mistake names its key, in Python and in a config alike."""
    for build in (
        lambda: RiskParams(**wrong),
        lambda: build_config({"risk": {n: v or "off" for n, v in wrong.items()}}),
    ):
        with pytest.raises(ParameterError) as caught:
            build()
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_config_says_the_same_as_python(tmp_path: Path) -> None:
    """Tables in TOML, an override from the command line, and the record of a config all give the same parameters."""
    told = RiskParams(trailing_stop="1.5atr", break_even="1%", targets=list(LADDER))
    text = (
        '[risk]\ntrailing_stop = "1.5atr"\nbreak_even = "1%"\n'
        'targets = [{distance = "2%", share = 0.5}, {distance = "3%", share = 0.25}]\n'
    )
    path = tmp_path / "run.toml"
    path.write_text(text)
    config = load_config(path)
    assert config.risk == told
    assert build_config(tomllib.loads(text)).risk == told
    assert build_config(config.record()).risk == told
    assert load_config(path, ['risk.targets=[{distance="2%", share=0.5}]']).risk.targets == told.targets[:1]
    assert told.replaced(leverage=2.0).targets == told.targets


class OwnBracket(bt.Strategy):
    """A strategy written by hand: one bracket with keywords of this broker."""

    params = (("exits", ()),)

    def next(self) -> None:
        if len(self) == 1:
            entry = self.buy(size=1.0, transmit=False, reason="entry")
            for number, (kind, size, more) in enumerate(self.p.exits, 1):
                self.sell(size=size, exectype=kind, parent=entry, transmit=number == len(self.p.exits), **more)


def own(rows: list[Row], *exits: tuple[Any, float, dict[str, Any]]) -> list[tuple[float, float, str]]:
    """Quantity, price and reason of the closing fills of a bracket entered at the open of the second row."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market(rows)))
    cerebro.broker = FuturesBroker(cash=1000.0)
    cerebro.addstrategy(OwnBracket, exits=exits)
    cerebro.run()
    fills = cerebro.broker.ledger.tables()[0]
    return list(zip(fills["quantity"], fills["price"], fills["reason"], strict=True))[1:]


def test_a_bracket_by_hand_trails_and_scales_out() -> None:
    """Keywords on the stop move it; a target of a smaller size than its entry is for that share."""
    rows = [(100, 100, 100, 100), (100, 106, 99, 105), (105, 110, 104, 109), (109, 109, 100, 101)]
    stop = (bt.Order.Stop, 1.0, {"price": 95.0, "trailing_rate": 0.02, "break_even": 2.0, "reason": "stop_loss"})
    part = (bt.Order.Limit, 0.4, {"price": 104.0, "reason": "take_profit"})
    assert own(rows, stop, part) == [(0.4, 104.0, "take_profit"), (0.6, pytest.approx(107.8), "trailing_stop")]
    even = (bt.Order.Stop, 1.0, {"offset_rate": 0.05, "break_even_rate": 0.06, "reason": "stop_loss"})
    assert own([*rows[:2], (105, 105, 99, 100)], even) == [(1.0, 100.0, "break_even")]


@pytest.mark.parametrize("keyword", ["trailing", "trailing_rate", "trailing_after", "break_even", "break_even_rate"])
def test_only_the_stop_of_a_bracket_moves(keyword: str) -> None:
    """A target that trails, or a distance below zero, is refused with the keyword's name."""
    rows = [(100.0, 100.0, 100.0, 100.0)] * 2
    for kind, amount in ((bt.Order.Limit, 1.0), (bt.Order.Stop, -1.0)):
        with pytest.raises(ParameterError, match=rf"^{keyword} = .*the stop of a bracket"):
            own(rows, (kind, 1.0, {"price": 95.0, keyword: amount}))
