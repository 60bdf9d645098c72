"""The witness: an account and a trader in plain Python, against which runs of the compiled exchange are held.

Written from docs/fills.md and docs/strategies.md alone, with nothing but the standard library. It imports no other
package of the project, so what it agrees on was found twice; import-linter holds that, and who may call on it.
"""

from witness.account import WitnessAccount
from witness.cross import CrossAccount
from witness.playback import WitnessPlayback
from witness.terms import (
    LIQUIDATION,
    Event,
    Fill,
    Payment,
    Position,
    WitnessBar,
    WitnessContract,
    WitnessFiner,
    WitnessOrder,
)
from witness.trader import WitnessTrader

__all__ = [
    "LIQUIDATION",
    "CrossAccount",
    "Event",
    "Fill",
    "Payment",
    "Position",
    "WitnessAccount",
    "WitnessBar",
    "WitnessContract",
    "WitnessFiner",
    "WitnessOrder",
    "WitnessPlayback",
    "WitnessTrader",
]
