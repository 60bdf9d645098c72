"""The Backtrader broker of a leveraged futures account: translates orders to the exchange and fills back."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NoReturn

import backtrader as bt
import numpy as np

from backtests.exchange import records
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.kernel.playing import Playing
from backtests.under_backtrader import worth
from backtests.under_backtrader.coarser import CoarserFeed
from backtests.under_backtrader.commission import FuturesCommission
from backtests.under_backtrader.cursor import Cursor
from backtests.under_backtrader.feed import CandleFeed
from backtests.under_backtrader.ledger import Ledger
from backtests.under_backtrader.orders import BuyOrder, SellOrder, make_order, order_params
from backtests.under_backtrader.telling import Positions, Teller
from backtests.under_backtrader.translation import MOVING, Calendar, check_order, kind_name, order_values
from foundation.errors import CrossgateError, DataError, ParameterError
from strategies.parameters import RiskParams


class NotPlayed:
    """A setting of Backtrader's own broker that this one refuses, saying what to use instead."""

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def __call__(self, *arguments: Any, **options: Any) -> NoReturn:
        raise CrossgateError(self.instead)


class NotKept(NotPlayed):
    """A figure of Backtrader's own broker that this one does not keep; asked for, it says what to use instead."""

    def __get__(self, broker: Any, owner: Any) -> Any:
        if broker is None:
            return self
        raise AttributeError(self.instead)


def _gives(side: Any, verb: str) -> Any:
    """A method of the broker that makes an order of Backtrader's own keywords and, as its info, of those added."""

    def give(
        self: FuturesBroker, owner: Any, data: Any, size: float, price: float | None = None,
        plimit: float | None = None, exectype: int | None = None, valid: Any = None, tradeid: int = 0, oco: Any = None,
        trailamount: float | None = None, trailpercent: float | None = None, parent: Any = None, transmit: bool = True,
        **added: Any,
    ) -> Any:  # fmt: skip
        kind = kind_name(exectype)
        if isinstance(data, CoarserFeed):
            fix = "order on the CandleFeed of the market, data=self.data0"
            raise ParameterError("data", "is a CoarserFeed, only looked at", value=data._name, fix=fix)
        given = order_params(
            owner, data, size, price, plimit, exectype, valid, tradeid, oco, trailamount, trailpercent, parent, transmit
        )
        check_order(kind, verb, given, added)
        order = make_order(side, given)
        if added:
            order.info.update(added)
        return self.submit(order)

    give.__name__, give.__qualname__ = verb, f"FuturesBroker.{verb}"
    give.__doc__ = f"A {verb} order, in Backtrader's words; see the class for the keywords added."
    return give


class FuturesBroker(bt.BrokerBase):
    """A leveraged futures account on isolated or cross margin, for feeds that are CandleFeeds.

    `cash`: starting balance. `leverage`: of orders that do not name their own. `slippage_bps`, `half_spread`,
    `impact`, `impact_bars`, `intrabar`, `limit_fill`, `margin`: see AccountParams and CostParams. Fees, filters and
    the margin rule come with the contract.

    Orders: Market, Close, Limit, Stop, StopLimit, StopTrail, StopTrailLimit, OCO groups, and brackets whose
    exits live on the entry bar; `valid` as in Backtrader. docs/fills.md has the rule of each. Keywords beyond
    Backtrader's own, for `buy` and `sell`: `leverage`, `reduce_only`, `reason` (one of FILL_REASONS), and
    for the exits of a bracket `offset_rate` (fraction of the entry's fill price) or `offset` (in price);
    for its stop also `trailing_rate` or `trailing` (behind the best price since the entry),
    `trailing_after_rate` or `trailing_after` (from the entry: where that begins), and `break_even_rate` or
    `break_even` (from the entry: where the stop moves to it). An exit of a smaller size than its entry
    is for that share of it; the others keep what it leaves.
    Others are kept as the order's info.
    All money is in the settlement currency, which is the coin of inverse contracts.
    `getcash` is the cash not posted as margin (cross: the equity not posted); `getvalue` the equity at the
    last mark close.
    Every fill, funding payment and refusal is kept in `ledger`. `fundmode` as in Backtrader.
    """

    params = (
        ("cash", 10_000.0),
        ("leverage", 1.0),
        ("slippage_bps", 0.0),
        ("half_spread", None),
        ("impact", 0.0),
        ("impact_bars", 24),
        ("intrabar", "adverse"),
        ("limit_fill", "touch"),
        ("margin", "isolated"),
        ("fundmode", False),
        ("fundstartval", 100.0),
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = {name: getattr(self.p, name) for name in ("intrabar", "limit_fill", "margin")}
        self.terms = AccountParams(cash=float(self.p.cash), **given)
        given = {name: getattr(self.p, name) for name in ("half_spread", "impact", "impact_bars")}
        self.costs = CostParams(slippage_bps=float(self.p.slippage_bps), **given)
        RiskParams(leverage=float(self.p.leverage))
        self.startingcash = self.p.cash
        self.notifications: deque[Any] = deque()
        # Whether anyone hears of orders that do not fill: all of it, or their ends alone. `sleeps`: see Playing.
        self.heard, self.ends_heard, self.sleeps, self.cursor = True, True, True, Cursor()
        self.account = np.zeros(1, dtype=records.ACCOUNT)
        self.account["cash"] = self.account["equity"] = self.p.cash
        # The row at whose close the first order can be given.
        self.first = 0
        # Every order as it was given, see `submit`, where somebody wants to know.
        self.remembers = False
        self.given: list[tuple[Any, ...]] = []
        # All that the exchange was told, where somebody listens: the bar, and the values of an order or its withdrawal.
        self.told: list[tuple[int, dict[str, Any] | int]] | None = None

    @classmethod
    def of(cls, account: AccountParams, costs: CostParams, leverage: float) -> FuturesBroker:
        """The broker of an account, with costs that the contract does not hold, whatever they are."""
        terms = {name: getattr(account, name) for name in ("cash", "intrabar", "limit_fill", "margin")}
        made: FuturesBroker = cls(leverage=leverage, **terms)
        made.costs = costs
        for name in ("slippage_bps", "half_spread", "impact", "impact_bars"):
            setattr(made.p, name, getattr(costs, name))
        return made

    def start(self) -> None:
        """Takes the feeds' markets onto the exchange; all must have the same bars."""
        super().start()
        for feed in self.cerebro.datas:
            if not isinstance(feed, CandleFeed):
                fix = 'CandleFeed(dataname=market); to look at longer bars, CoarserFeed(dataname=market, bar="4h")'
                raise ParameterError("feed", "should be a CandleFeed", value=type(feed).__name__, fix=fix)
        self.feeds = [feed for feed in self.cerebro.datas if not isinstance(feed, CoarserFeed)]
        first = self.cerebro.datas[0]
        if isinstance(first, CoarserFeed):
            fix = "add the CandleFeed that is traded before it"
            raise ParameterError("feed", "comes first, and is only looked at", value=first._name, fix=fix)
        self._check_feeds()
        self.account[:] = 0
        self.account["cash"] = self.account["equity"] = self.p.cash
        self.notifications.clear()
        self.given.clear()
        markets, first = [feed.market for feed in self.feeds], self.feeds[0].market.candles
        self.playing = Playing(markets, self.terms, self.costs, self.account, first=self.first, sleeps=self.sleeps)
        self.contracts = self.playing.contracts
        self.history, self.position_history = self.playing.history, self.playing.position_history
        self.cursor.at, self.heard, self.ends_heard = -1, True, True
        self.open_orders: dict[int, Any] = {}
        self.untransmitted: dict[int, list[Any]] = {}
        self.commissions = {feed.symbol: self._fees_of(number, feed) for number, feed in enumerate(self.feeds)}
        self.clock, self.time, self.shown = self.feeds[0].lines[0], self.feeds[0].lines.datetime, self.feeds[0].shown
        self.calendar = Calendar(self.feeds[0].days, first.bar / 86_400e9)
        self.moving: dict[int, Any] = {}
        self.ledger = Ledger([feed.symbol for feed in self.feeds], first.timestamp, self.account)
        self.teller = Teller(self)

    def stop(self) -> None:
        """Settles the account at the last bar; a run that was stopped before the end has no later ones."""
        self.history[self.cursor.at + 1 :] = 0
        self.position_history[:, self.cursor.at + 1 :] = 0
        if self.cursor.at >= 0:
            self.playing.settle(self.cursor.at)

    def _check_feeds(self) -> None:
        """Numbers the feeds; raises DataError where they cannot share an account."""
        lead = self.feeds[0]
        self.symbols = {feed.symbol: number for number, feed in enumerate(self.feeds)}
        self.ticks = [feed.market.contract.tick for feed in self.feeds]
        for feed in self.cerebro.datas:
            candles = feed.parts if isinstance(feed, CoarserFeed) else feed.market.candles
            if not np.array_equal(candles.timestamp, lead.market.candles.timestamp):
                fix = "cut all markets to the same span and bar length"
                raise DataError(feed.symbol, f"has other bars than {lead.symbol}", fix=fix)
            currency, other = feed.market.contract.settlement, lead.market.contract.settlement
            if currency != other:
                fix = "an account holds contracts of one settlement currency"
                raise DataError(feed.symbol, f"settles in {currency}, {lead.symbol} in {other}", fix=fix)
        if len(self.symbols) != len(self.feeds):
            raise DataError("feeds", "name a symbol twice", fix="hand in one feed a contract")

    # What a strategy asks ---------------------------------------------------------------------

    def getcash(self) -> float:
        """What is not posted as margin: of the cash, or of a cross account's equity."""
        at, playing = self.cursor.at, self.playing
        if at < 0:
            return float(self.account["cash"][0])
        whole = playing.equity if self.p.margin == "cross" else playing.cash
        return whole[at] - playing.margin(at)

    def getvalue(self, datas: Any = None) -> float:
        """The equity; of some feeds only, the value of their positions at the last close, below zero for a short."""
        if datas is None:
            at = self.cursor.at
            return self.playing.equity[at] if at >= 0 else float(self.account["equity"][0])
        positions = ((data, self.getposition(data).size, data.close[0]) for data in datas)
        return float(sum(math.copysign(self.notional(*position), position[1]) for position in positions))

    def setcash(self, cash: float) -> None:
        """Another starting balance, before the run."""
        self.startingcash = self.p.cash = cash
        self.account["cash"] = self.account["equity"] = cash

    get_cash, get_value, set_cash = getcash, getvalue, setcash
    cash = property(getcash)

    def get_fundshares(self) -> float:
        """The shares of the account seen as a fund: the starting balance at `fundstartval` each."""
        return float(self.startingcash / self.p.fundstartval)

    def get_fundvalue(self) -> float:
        """The value of one share: equity by shares."""
        return self.getvalue() / self.get_fundshares()

    def set_fundmode(self, fundmode: bool, fundstartval: float | None = None) -> None:
        """Whether analyzers reckon returns on the fund's share; and what one is worth at the start."""
        self.p.fundmode = fundmode
        self.p.fundstartval = fundstartval or self.p.fundstartval

    def set_fundstartval(self, fundstartval: float) -> None:
        """What a share of the fund is worth at the start."""
        self.p.fundstartval = fundstartval

    def get_fundmode(self) -> bool:
        """Whether analyzers reckon returns on the fund's share."""
        return bool(self.p.fundmode)

    setcommission = addcommissioninfo = NotPlayed(
        "fees and margin come with the feed's contract; change them with contract.replaced(taker_fee=...)"
    )
    set_coc = NotPlayed("cheat-on-close is not played: an order decided at a close is first seen by the next bar")
    set_coo = NotPlayed("cheat-on-open is not played: an order decided at a close is first seen by the next bar")
    set_slippage_perc = NotPlayed("slippage is given as FuturesBroker(slippage_bps=...)")
    set_slippage_fixed = NotPlayed("slippage is a fraction of the price, given as FuturesBroker(slippage_bps=...)")
    set_filler = NotPlayed("partial fills for lack of volume are not modelled: an order fills whole")
    add_cash = NotPlayed("the account takes no deposits during a run; it starts with FuturesBroker(cash=...)")
    add_order_history = NotPlayed("a recorded history of orders is not played; a strategy gives them")
    set_fund_history = NotPlayed("a recorded history of a fund is not played; its value follows the account")
    set_shortcash = NotPlayed("a short posts margin like a long; getvalue is the equity, with both at their mark price")
    set_checksubmit = NotPlayed("the margin of an order is checked when it fills, and the order shrunk where it lacks")
    set_int2pnl = NotPlayed("no interest is charged; perpetual contracts pay funding, which comes with the market")
    set_eosbar = seteosbar = NotPlayed("the bar at whose close a session ends is its last one, at any time")
    get_leverage = NotPlayed("leverage is an order's own, or else that of FuturesBroker(leverage=...)")
    orders = NotKept(
        "orders that have ended are not kept: get_orders_open() has those that can fill, ledger.tables() the fills"
    )
    pending = NotKept("orders are not kept in a queue: get_orders_open() has those that can fill")

    fundshares, fundvalue = property(get_fundshares), property(get_fundvalue)
    fundmode = property(get_fundmode, set_fundmode)

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """The orders that can still fill; copies of them if `safe`."""
        return [order.clone() if safe else order for order in self.open_orders.values()]

    def getposition(self, data: Any, clone: bool = True) -> Any:
        """The position in a feed's contract, a copy; its size is the exchange's own, a whole number of lots."""
        return self.teller.position(data.symbol)

    @property
    def positions(self) -> Positions:
        """The position in every feed's contract, by feed."""
        return Positions(self)

    def getcommissioninfo(self, data: Any) -> Any:
        """The contract's fee, as Backtrader wants it."""
        return self.commissions[data.symbol]

    def fee_rate(self, data: Any) -> float:
        """The taker fee of a feed's contract, a fraction of notional."""
        return float(self.contracts["taker_fee"][self.symbols[data.symbol]])

    def notional(self, data: Any, size: float, price: float) -> float:
        """The value of a size of a feed's contract at a price, in the settlement currency."""
        return worth.notional(self.contracts, self.symbols[data.symbol], size, price)

    def cost_rate(self, data: Any) -> float:
        """Taker fee plus slippage of one fill, a fraction of notional, as far as it does not hang on the size."""
        return self.fee_rate(data) + self.slippage_rate(data)

    def slippage_rate(self, data: Any) -> float:
        """Fixed slippage and half-spread of one fill at the last close, a fraction of it."""
        return self.costs.slippage_rate(float(data.close[0]), data.market.contract.tick)

    # What a strategy orders -------------------------------------------------------------------

    buy = _gives(BuyOrder, "buy")
    sell = _gives(SellOrder, "sell")

    def submit(self, order: Any) -> Any:
        """Takes an order; those of a bracket wait until the last one is transmitted.

        Where `remembers` is set, `given` keeps the bar at whose close it was given, its symbol, kind, size and price.
        """
        if self.remembers:
            bar = len(self.clock) - 1
            self.given.append((bar, order.data.symbol, order.exectype, order.size, order.price, order.pricelimit))
        parent, order.comminfo = order.parent, self.commissions[order.data.symbol]
        order.submit(self)
        self._notify(order)
        group = order.ref if parent is None else parent.ref
        if not order.transmit:
            self.untransmitted.setdefault(group, []).append(order)
            return order
        for waiting in self.untransmitted.pop(group, ()):
            self._place(waiting)
        self._place(order)
        return order

    def cancel(self, order: Any) -> bool:
        """Withdraws an order that is still open, with the exits that wait for it; False if it is done."""
        if order.ref not in self.open_orders:
            return False
        if self.told is not None:
            self.told.append((len(self.clock) - 1, order.ref))
        self.playing.withdraw(order.ref)
        self.teller.tell_orders(len(self.clock) - 1)
        return True

    def next(self) -> None:
        """Plays the bar that has just closed, then tells Backtrader what happened in it."""
        i = self.cursor.at = len(self.clock) - 1
        if i < self.playing.wake:
            return
        if self.time[0] != self.shown[i]:
            problem = f"shows the strategy another bar than bar {i} of its market"
            raise DataError(self.feeds[0].symbol, problem, fix="leave the lines of a CandleFeed as they are")
        if self.playing.play(i):
            self.teller.tell(i)
        if self.moving:
            self.teller.read_back()

    def get_notification(self) -> Any:
        """The next order with news, or None."""
        return self.notifications.popleft() if self.notifications else None

    # Translation ------------------------------------------------------------------------------

    def _place(self, order: Any) -> None:
        """Writes an order to the exchange, where the next bar will find it."""
        symbol, parent, now = order.data.symbol, order.parent, len(self.clock) - 1
        number = self.symbols[symbol]
        new = order_values(order, number, self.ticks[number], self.calendar, now, self.p.leverage)
        order.accept(self)
        self._notify(order)
        self.teller.owners[symbol] = order.owner
        self.open_orders[order.ref] = order
        if order.exectype in MOVING:
            self.moving[order.ref] = order
        late = parent is not None and parent.ref not in self.open_orders
        ruined = bool(self.account["ruined"][0])
        if late or ruined:
            new["remark"], new["status"] = records.RUIN if ruined else records.ENTRY, records.REFUSED
            new["cash"], new["position"] = self.account["cash"][0], self.playing.positions["quantity"][number]
        if self.told is not None:
            self.told.append((now, new))
        self.playing.order(new)
        if late or ruined:
            self.teller.tell_orders(now)

    def _notify(self, order: Any) -> None:
        if self.heard:
            self.notifications.append(order.clone())

    def _fees_of(self, number: int, feed: Any) -> FuturesCommission:
        fee = feed.market.contract.taker_fee
        return FuturesCommission(commission=fee, leverage=self.p.leverage, contracts=self.contracts, symbol=number)
