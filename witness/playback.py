"""The witness's playback: the orders that a strategy of any kind gave, played again bar by bar.

What a strategy written by hand decides is in no rule that could be written again. But the orders that it gave to an
exchange can be given to the witness, each after the same bar: the account has to come to the same fills.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from witness.series import MarketBars
from witness.terms import WitnessOrder
from witness.trader import account_of, contract_of

# An order that was given, or the number of one that was withdrawn, after the bar of a row.
Given = tuple[int, WitnessOrder | int]


class WitnessPlayback:
    """Orders on the witness's account; `curve` holds the equity at the close of every bar that opens at `stamps`.

    `markets`: a run's, with the same bars. `given`: in the order in which it was given; row -1 is before the first bar.
    `first`: the row from which equity is kept; `bars`: how many are played, after which it is zero.
    """

    def __init__(
        self, markets: Sequence[Any], given: Sequence[Given], account: Any, costs: Any, first: int, bars: int
    ) -> None:
        self.stamps, self.first = memoryview(markets[0].candles.timestamp), first
        self.symbols = [str(one.contract.symbol) for one in markets]
        self.bars, self.given = [MarketBars(one) for one in markets], given
        self.count = bars
        self.account = account_of([contract_of(one.contract, costs) for one in markets], account, costs)
        self.curve = array("d")

    def __len__(self) -> int:
        """How many bars it plays."""
        return self.count

    def steps(self) -> Iterator[int]:
        """The row of each bar, once it is played."""
        at = 0
        for k in range(-1, self.count):
            if k >= 0:
                self.account.play([one.bar(k) for one in self.bars])
                if k >= self.first:
                    self.curve.append(self.account.equity)
                yield k
            while at < len(self.given) and self.given[at][0] == k:
                told = self.given[at][1]
                if isinstance(told, WitnessOrder):
                    self.account.submit(told)
                else:
                    self.account.cancel(told)
                at += 1
        # Of a run that was stopped, nothing is known after its last bar.
        self.curve.extend([0.0] * (len(self.stamps) - max(self.count, self.first)))
