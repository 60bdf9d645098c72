"""Mistakes to plant in the modules of the kernel's loop."""

from __future__ import annotations

from holding_fault_cases import HOLDING

# The modules of the kernel's loop, each before those that build on it.
ORDER = ("quiet", "trader", "shortcut", "cross", "course", "holding", "stretches", "alone", "kernel")
PLACES = {name: f"backtests.{'exchange' if name in ('quiet', 'cross') else 'kernel'}.{name}" for name in ORDER}
# Each fault: its module, what stands there, and what is put in its place.
FAULTS: dict[str, tuple[str, str, str]] = {
    "a stop that is touched on a quiet bar": (
        "quiet",
        "long: float = max(price, level) + tick",
        "long: float = max(price, level) - 50 * tick",
    ),
    "a target that is touched on a quiet bar": (
        "quiet",
        "        target_price = desk.orders[target].price",
        "        pass",
    ),
    "a liquidation forgotten on a quiet bar": (
        "quiet",
        "long: float = max(price, level) + tick",
        "long: float = price + tick",
    ),
    "a trailing stop that rests on quiet bars": (
        "quiet",
        "    if not follows(order) or share <= 0.0:",
        "    if True:",
    ),
    "a break-even that rests on quiet bars": (
        "quiet",
        "side * (order.basis - order.price) > 0.0:",
        "False:",
    ),
    "orders passed over on a quiet bar": (
        "quiet",
        "order.kind != LIMIT):\n            quiet = False",
        "order.kind != LIMIT):\n            pass",
    ),
    "the farther target first": (
        "quiet",
        "(order.price - desk.orders[target].price) < 0.0",
        "(order.price - desk.orders[target].price) > 0.0",
    ),
    "funding passed over with two symbols": (
        "stretches",
        " or is_due(scene, s, i)",
        "",
    ),
    "a cross account that is sheltered from everything": (
        "stretches",
        "    share = shelter(desk)\n",
        "    share = 0.9\n",
    ),
    "a short on a cross account without a level": (
        "stretches",
        "        elif position.quantity < 0.0:\n            book.high[s] = min(",
        "        elif position.quantity < 0.0:\n            book.high[s] = max(",
    ),
    "a cross account's maintenance forgotten": (
        "cross",
        "        if outlives(desk, share):\n",
        "        if True:\n",
    ),
    "a third position that nobody looks at": (
        "stretches",
        "book, unrealised = play.scene, play.desk, play.book, 0.0\n    for s in range(len(desk.positions)):",
        "book, unrealised = play.scene, play.desk, play.book, 0.0\n    for s in range(min(2, len(desk.positions))):",
    ),
    "a signal passed over while two are held": (
        "stretches",
        "(wanted != 0 and wanted != held) or memory.barred != 0",
        "memory.barred != 0",
    ),
    "a barred side kept for ever": (
        "stretches",
        "        if barred == 0:",
        "        if True:",
    ),
    "a barred side freed late": (
        "stretches",
        "wish.upcoming[OTHER, s, i]) if",
        "wish.upcoming[OTHER, s, i] + 1) if",
    ),
    "a decision a bar late": (
        "stretches",
        "    until: int = play.scene.bars.shape[1] - 1\n",
        "    until = play.scene.bars.shape[1] - 1\n    i = min(i + 1, until)\n",
    ),
    "a gap passed over": (
        "shortcut",
        "book.least[0] < bar.open < book.most[0] and ",
        "",
    ),
    "a liquidation at the open passed over": (
        "shortcut",
        " and not level_reached(desk, bar.mark_open)",
        "",
    ),
    "a liquidation inside the bar passed over": (
        "shortcut",
        " or level_reached(desk, worst_mark)",
        "",
    ),
    "a stop before its target": (
        "shortcut",
        "(stopped and target >= 0) or",
        "False or",
    ),
    "targets before their turn": (
        "shortcut",
        "            row = target_in_reach(desk, bar, side, book.target[0])",
        "            row = -1",
    ),
    "exits that are not looked up after a share": (
        "shortcut",
        "            book.stop[0], book.target[0], _ = nearest_exits(desk, 0)\n            row",
        "            row",
    ),
    "exits that are not looked up after the exchange's own steps": (
        "shortcut",
        "            drop_finished(desk)\n            book.stop[0], book.target[0], _ = nearest_exits(desk, 0)",
        "            drop_finished(desk)",
    ),
    "the nearest of planned targets is the farthest": (
        "shortcut",
        "(order.price - desk.orders[book.target[0]].price) < 0.0",
        "(order.price - desk.orders[book.target[0]].price) > 0.0",
    ),
    "exits that do not count on the bar of the entry": (
        "shortcut",
        "        if meet_levels(desk, book, bar):",
        "        if state.fills == 0 and meet_levels(desk, book, bar):",
    ),
    "a bar that needs the exchange's own steps without them": (
        "shortcut",
        "            exit_inside(desk, bar, 0)",
        "            pass",
    ),
    "the trailing distance rests on the entry's bar": (
        "shortcut",
        "        follow_bar(desk, bar, book.stop[0])",
        "        pass",
    ),
    "funding at the open passed over": (
        "shortcut",
        "        settle_funding(desk, 0, bar.mark_open, bar.funding_open)",
        "        pass",
    ),
    "funding paid twice after a gap": (
        "shortcut",
        "    state.cash, position.margin, position.liquidation_price = cash, margin, level\n    return False",
        "    return False",
    ),
    "funding at the close of an event passed over": (
        "shortcut",
        "        settle_funding(desk, 0, bar.mark_close, bar.funding_inside)",
        "        pass",
    ),
    "a position that has lost its margin at the close": (
        "shortcut",
        "        bankrupt_at_close(desk, bar, 0)",
        "        pass",
    ),
    "a bar that takes no fills": (
        "shortcut",
        "    if bar.blocked:\n        return False",
        "    pass",
    ),
    "a market order's size as its exit's share": (
        "shortcut",
        "order.quantity = entry.filled * order.share",
        "order.quantity = entry.filled",
    ),
    "an exit below one lot": (
        "shortcut",
        "            play.tally[0].refusals += 1\n            return",
        "            play.tally[0].refusals += 1",
    ),
    "a stop that is called a target": (
        "shortcut",
        "(LIMIT, TARGET) if one.target else (STOP, STOP_LOSS)",
        "(LIMIT, TARGET) if one.target else (STOP, TARGET)",
    ),
    "exits on the wrong side": (
        "shortcut",
        "toward = move.side if one.target else -move.side",
        "toward = -move.side if one.target else move.side",
    ),
    "exits from the price of another entry": (
        "shortcut",
        "    order.basis = entry.fill_price",
        "    pass",
    ),
    "an entry that is refused and made": (
        "shortcut",
        "        tally.refusals += 1\n        return",
        "        tally.refusals += 1",
    ),
    "a shrunk entry that is not counted": (
        "shortcut",
        "        tally.shrunk += 1",
        "        pass",
    ),
    "exits that outlive their position": (
        "shortcut",
        "        state.orders = 0\n",
        "        pass\n",
    ),
    "a maker's fee for all": (
        "shortcut",
        "contract.maker_fee if maker else contract.taker_fee",
        "contract.maker_fee",
    ),
    "a stop that fills at its level after a gap": (
        "shortcut",
        "            reference = stop_fill(-side, reference, bar.open)",
        "            pass",
    ),
    "a part of a position that counts as all of it": (
        "shortcut",
        "        if quantity < held and not part_of(order):",
        "        if False:",
    ),
    "a close that leaves a part": (
        "shortcut",
        "(leaving == 0 or round_down(held, desk.contracts[0].lot) >= held)",
        "True",
    ),
    "a bar that the shortcut leaves without a move": (
        "alone",
        "simple = play_whole(play, i, move)",
        "simple = play_whole(play, i, Move(0, 0, 0.0, 0))",
    ),
    "an order that waits and is given again": (
        "alone",
        "i - 1, not simple)",
        "i - 1, False)",
    ),
    "a ruined account that goes on": (
        "alone",
        "            if account.ruined:",
        "            if False:",
    ),
    "bands from before the entry": (
        "alone",
        "                refresh_bands(desk, book)",
        "                pass",
    ),
    "equity of the bar before": (
        "stretches",
        "account.unrealised, account.equity = unrealised, account.cash + unrealised",
        "account.unrealised = unrealised",
    ),
    "fills that change no equity": (
        "alone",
        "            note_worth(play.course, desk, i)",
        "            pass",
    ),
    "fills of two symbols that change no equity": (
        "kernel",
        "                note_worth(course, desk, i)",
        "                pass",
    ),
    "the cash of a ruined account": (
        "course",
        "account.equity if account.ruined else account.cash, held",
        "account.equity if not account.ruined else account.cash, held",
    ),
    "the entry of the first symbol": (
        "course",
        "position.entry, 1.0",
        "desk.positions[0].entry, 1.0",
    ),
    "funding in the lane of another": (
        "course",
        "|= 1 << WIDTH + course.lane",
        "|= 2 << WIDTH + course.lane",
    ),
    "an account in the lane of another": (
        "course",
        "|= 1 << lane",
        "|= 2 << lane",
    ),
    "an entry that the strategy forgets": (
        "trader",
        "        remember_entry(memory, bars)",
        "        pass",
    ),
    "a signal's exit that bars its side": (
        "trader",
        "remember_exit(memory, bars, -fill.side, fill.reason == SIGNAL)",
        "remember_exit(memory, bars, -fill.side, False)",
    ),
    "the cost of closing left out of sizes": (
        "trader",
        "len(desk.positions) - closing",
        "len(desk.positions)",
    ),
    "the whole equity for each symbol": (
        "trader",
        "desk.account[0].equity / len(desk.positions)",
        "desk.account[0].equity",
    ),
    "sizes from the bar before": (
        "trader",
        "desk.contracts[s], scene.close[s, i]",
        "desk.contracts[s], scene.close[s, max(i - 1, 0)]",
    ),
    "an exit for the whole instead of its share": (
        "trader",
        "leave.quantity, leave.share = move.size * one.share, share_of(move.size, one.share)",
        "leave.quantity, leave.share = move.size, 1.0",
    ),
    "an exit that could open": (
        "trader",
        "SLEEPING, 1, plan.leverage",
        "SLEEPING, 0, plan.leverage",
    ),
}
FAULTS |= {name: ("holding", *pair) for name, pair in HOLDING.items()}
