"""Mistakes to plant in the bars of a position that are passed over."""

from __future__ import annotations

# Each fault of `backtests.kernel.holding`: what stands there, and what is put in its place.
HOLDING: dict[str, tuple[str, str]] = {
    "funding passed over": (
        "pay_inside(play, i, pass_inside(play, i, end))",
        "pass_inside(play, i, end)",
    ),
    "funding inside a bar passed over": (
        "    if event.funding_inside != 0.0:",
        "    if False:",
    ),
    "a liquidation price that funding has moved": (
        "outlived = not (level > 0.0 and reached)",
        "outlived = True",
    ),
    "a margin that funding has used up": (
        "left = margin - position.reserve + unrealised > 0.0 and",
        "left =",
    ),
    "funding paid twice where more happens": (
        "        if not due.outlived:\n            return False",
        "        if not due.outlived:\n            pay(play, due, i)\n            return False",
    ),
    "a long's band from before the funding": (
        "level + tick > book.low[0]",
        "False",
    ),
    "funding inside a band that takes the margin before it gives it back": (
        "not due.outlived or narrows(play, due.level)",
        "narrows(play, due.level)",
    ),
    "a short's band from before the funding": (
        "level > 0.0 and level - tick < book.high[0]",
        "False",
    ),
    "a stop that stays while bars are passed over": (
        "    if stop >= 0:",
        "    if stop >= len(desk.orders):",
    ),
    "bands of a stop that has moved on": (
        "    refresh_bands(desk, book)\n    return True",
        "    return True",
    ),
    "a stop that has not trailed": (
        "        follow_passed(play, first, i)",
        "        pass",
    ),
    "bands of a stop that has trailed": (
        "    refresh_bands(desk, book)\n\n\n@rule(inline=True)\ndef pay_inside",
        "    pass\n\n\n@rule(inline=True)\ndef pay_inside",
    ),
    "the best price of the bar that is not passed": (
        "min(end - begin, WIDTH)",
        "min(end + 1 - begin, WIDTH)",
    ),
    "the worst price trailed": (
        "    best = scene.highest[0] if side > 0 else scene.lowest[0]\n    while",
        "    best = scene.highest[0] if side < 0 else scene.lowest[0]\n    while",
    ),
    "a stop that trails at the distance of all but the last eight bars": (
        "higher(highest_before(reached), top)",
        "top",
    ),
    "a stop that trails at the distance of the last eight bars": (
        "        top = higher(highest(reached), top)\n",
        "",
    ),
    "a stop that trails too late": (
        "order.trailing_after) - tick",
        "order.trailing_after) + 50 * tick",
    ),
    "a stop that trails too far": (
        "order.trailing - 2.0 * tick",
        "order.trailing + 50.0 * tick",
    ),
    "shorts that trail like longs": (
        "sign, share, away, after = float(side),",
        "sign, share, away, after = 1.0,",
    ),
    "a target passed over while a stop trails": (
        "(lanes_from(lows, i) > low) & (lanes_from(highs, i) < high) & clear",
        "clear",
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
        "min(i + inside, end)\n        i +=",
        "min(i + WIDTH, end)\n        i +=",
    ),
    "a block forgotten after eight bars": (
        "pass_blocks(play, i // WIDTH, end)",
        "pass_blocks(play, i // WIDTH + 1, end)",
    ),
    "highs that are not looked at": (
        " & (lanes_from(highs, i) < high))",
        ")",
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
        "    note_cash(play.course, play.desk, i)",
        "    pass",
    ),
}
