"""The witness's account of a case."""

from __future__ import annotations

from market_cases import Case

from witness import CrossAccount, WitnessAccount, WitnessContract

ACCOUNTS: dict[str, type[WitnessAccount]] = {"isolated": WitnessAccount, "cross": CrossAccount}


def account_of(case: Case) -> WitnessAccount:
    """The witness's account of a case, isolated or cross."""
    settings = dict(case.settings)
    kind = ACCOUNTS[settings.pop("mode", "isolated")]
    return kind([WitnessContract(**one) for one in case.contracts], case.cash, **settings)
