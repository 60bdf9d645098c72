"""The witness's account of a case, and its trader in a match."""

from __future__ import annotations

from kernel_cases import Match
from market_cases import Case

from witness import CrossAccount, WitnessAccount, WitnessContract, WitnessTrader

ACCOUNTS: dict[str, type[WitnessAccount]] = {"isolated": WitnessAccount, "cross": CrossAccount}


def account_of(case: Case) -> WitnessAccount:
    """The witness's account of a case, isolated or cross."""
    settings = dict(case.settings)
    kind = ACCOUNTS[settings.pop("mode", "isolated")]
    return kind([WitnessContract(**one) for one in case.contracts], case.cash, **settings)


def trader_of(match: Match) -> WitnessTrader:
    """The witness's trader in a match, before its first bar."""
    return WitnessTrader(match.markets, match.forecasts, match.strategy, match.risk, match.account, match.costs)
