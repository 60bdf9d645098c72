"""Mistakes to plant in the bars of a position that are passed over."""

from __future__ import annotations

# Each fault of `backtests.kernel.holding`: what stands there, and what is put in its place.
HOLDING: dict[str, tuple[str, str]] = {
    "funding passed over": (
        "pass_inside(play, i, min(end, event.row))",
        "pass_inside(play, i, end)",
    ),
    "funding inside a bar passed over": (
        "    if event.funding_inside != 0.0:",
        "    if False:",
    ),
    "a liquidation price that funding has moved": (
        "    if level > 0.0 and (low",
        "    if level < 0.0 and (low",
    ),
    "a margin that funding has used up": (
        "    if not (margin - position.reserve + unrealised > 0.0 and",
        "    if not (",
    ),
    "funding paid twice where more happens": (
        "    if level > 0.0 and (low",
        "    account.cash = cash\n    if level > 0.0 and (low",
    ),
    "a bar that takes no fills passed over": (
        "event.blocked or not",
        "not",
    ),
    "a long's bands from before the funding": (
        "        book.low[0] = book.least[0] = adverse_end(desk, 0, side, stop)",
        "        pass",
    ),
    "a short's bands from before the funding": (
        "        book.high[0] = book.most[0] = adverse_end(desk, 0, side, stop)",
        "        pass",
    ),
    "a stop that stays while bars are passed over": (
        "    if stop >= 0 and not (low",
        "    if stop >= len(desk.orders) and not (low",
    ),
    "bands of a stop that has moved on": (
        "quiet_bands(desk, 0, stop, book.target[0])",
        "(book.low[0], book.high[0], book.least[0], book.most[0])",
    ),
    "an order met on a bar that is passed over": (
        "low > book.least[0]",
        "True",
    ),
    "a signal passed over while a position is held": (
        "SHORT if side > 0 else LONG, 0, i",
        "LONG if side > 0 else SHORT, 0, i",
    ),
    "the time exit passed over": (
        "min(found, max(i, memory.entered + longest - 2)) if longest > 0 else found",
        "found",
    ),
    "the time exit a bar late": (
        "memory.entered + longest - 2",
        "memory.entered + longest - 1",
    ),
    "equity before the bars that were passed over": (
        "        account.equity = account.cash + account.unrealised",
        "        pass",
    ),
    "a band left among eight bars": (
        "min(i + inside, end)",
        "min(i + WIDTH, end)",
    ),
    "a block forgotten after eight bars": (
        "pass_blocks(play, i // WIDTH, end)",
        "pass_blocks(play, i // WIDTH + 1, end)",
    ),
    "highs that are not looked at": (
        " & (lanes_from(highs, i) < high)",
        "",
    ),
    "a band left among eight blocks": (
        "        block += inside",
        "        block += WIDTH",
    ),
    "highs of blocks that are not looked at": (
        " & (lanes_from(highs, block) < high)",
        "",
    ),
    "funding that changes no equity": (
        "        note_cash(play.course, desk, i)",
        "        pass",
    ),
}
