"""The tables of a config that belong to no room: the run, its markets, and a saved model to load."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from foundation.errors import CrossgateError, ParameterError
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity, nanoseconds
from markets.book_series import BOOK_UNITS
from markets.contract import Contract, find_contract
from markets.demo import MOST_PREDICTABLE
from models.parameters import LSTMParams

_FILE = "a path to a parquet file below the data folder (--data DIR, else $CROSSGATE_DATA, else ./data)"
_DAY = 'a UTC day or time, such as 2021-01-01 or "2021-01-01 12:00"'


def _read_time(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("should be a day or a time") from None
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return value.isoformat(" ", "seconds")
    return value.isoformat() + " 00:00:00" if isinstance(value, date) else value


def _read_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read_contract(value: Any) -> Any:
    if isinstance(value, str):
        find_contract(value)
    if not isinstance(value, dict):
        return value
    try:
        return Contract(**value)
    except ParameterError as error:
        raise CrossgateError(f"market.{error}") from None


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError("cannot name a folder")
    return name


def _check_bar(text: str) -> str:
    nanoseconds(text)
    return text


Bar = Annotated[str | None, BeforeValidator(lambda value: value if value is None else _check_bar(value))]
Time = Annotated[str | None, BeforeValidator(_read_time)]


class RunParams(Parameters):
    """The name of the run, which names its folder below runs/, and the seed of all that is random in it.

    `interpretation`: whether the report says what its networks rest on. `retraining`: whether models that are frozen,
    retrained on schedule and on drift are trained, too, and the report says what each is worth on the same bars;
    "auto": those that cost half a minute of one core at most.
    """

    table: ClassVar[str] = "run"

    name: Annotated[str, AfterValidator(_check_name)] = Field(
        "backtest", description="up to 80 letters, digits, dots, dashes and underscores; it names the folder of the run"
    )
    seed: int = Field(7, ge=0, le=2**31 - 1, description="a whole number from 0 to 2147483647")
    interpretation: bool = Field(True, description="true: the report says what the networks rest on")
    retraining: bool | Literal["auto"] = Field(
        "auto",
        description='true, false or "auto": the report says what retraining was worth, "auto" where that is cheap',
    )


class TradedParams(Parameters):
    """What every market in files has: a contract, a registered key or a table with the fields of a Contract."""

    table: ClassVar[str] = "market"

    contract: Annotated[str | Contract, BeforeValidator(_read_contract)] = Field(
        description='a registered or fetched contract such as "binance_usdm:BTCUSDT", or a table {venue = ..., ...}'
    )

    @property
    def traded(self) -> Contract:
        """The contract itself."""
        return find_contract(self.contract) if isinstance(self.contract, str) else self.contract


class BookParams(TradedParams):
    """A market recorded as messages of its order book: candles of its trades, and the series `book`.

    `bar` is the length of a candle. A message is taken to be known `published_after` the exchange's time of it.
    `depths`: numbers of levels whose imbalance is shown.
    """

    order_book: str = Field(min_length=1, description="a file of messages (*.jsonl, *.jsonl.gz) below the data folder")
    bar: Annotated[Quantity, Measured(BOOK_UNITS)] = Field(Quantity(1.0, "s"), description='a duration such as "1s"')
    published_after: Annotated[Quantity, Measured(BOOK_UNITS, positive=False)] = Field(
        description='how long after the exchange\'s time a message is known, such as "100ms"'
    )
    stale_after: Annotated[Quantity, Measured(BOOK_UNITS)] = Field(
        Quantity(5.0, "s"), description='a duration such as "5s"'
    )
    depths: Annotated[tuple[int, ...], BeforeValidator(_read_list)] = Field(
        (1, 5, 20), min_length=1, description="numbers of levels, such as [1, 5, 20]"
    )


class MarketParams(TradedParams):
    """A market: a contract with its candles, mark candles and funding, from the store or from files.

    `contract` is a registered key, or a table with the fields of a Contract. With `bar` alone everything
    is found in the store of the data folder; `candles` names a file instead. The market holds the bars
    that open at or after `start` and before `end`.
    """

    bar: Bar = Field(None, description='the length of the candles, such as "1h", made of shorter ones where need be')
    candles: str | None = Field(None, min_length=1, description=f"{_FILE}; left out, the store is asked for `bar`")
    mark: str | None = Field(None, min_length=1, description=f"{_FILE}; left out, the last price stands in")
    funding: str | None = Field(None, min_length=1, description=_FILE)
    finer: str | None = Field(
        None,
        min_length=1,
        description=f"{_FILE}; shorter candles of the same contract, which say what came first in a bar",
    )
    tiers: str | None = Field(
        None, min_length=1, description=f"{_FILE} with margin brackets; left out, the contract's own"
    )
    tiers_date: str | None = Field(
        None, pattern=r"^\d{4}-\d\d-\d\d$", description="the day whose margin brackets are played, YYYY-MM-DD"
    )
    start: Time = Field(None, description=_DAY)
    end: Time = Field(None, description=_DAY)

    def model_post_init(self, context: object) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ParameterError("market.end", f"should be later than market.start = {self.start}", value=self.end)
        if self.bar is None and self.candles is None:
            fix = 'bar = "1h" takes candles from the store, candles = "ohlcv/x.parquet" from a file'
            raise ParameterError("market.bar", "is missing, and market.candles too", fix=fix)


class DemoParams(Parameters):
    """The embedded demo market: a synthetic perpetual made from a seed, without files.

    `predictability` is the planted share of the next return's variance that can be known; 0 plants none.
    """

    table: ClassVar[str] = "market"

    demo: Literal[True] = Field(True, description="true: the embedded demo market, which is synthetic")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="a whole number from 0 to 2147483647")
    bars: int = Field(17_520, ge=500, le=1_000_000, description="hours, a whole number from 500 to 1000000")
    predictability: float = Field(
        0.02, ge=0, le=MOST_PREDICTABLE, description=f"a share of variance from 0 to {MOST_PREDICTABLE}, such as 0.02"
    )


class ModelParams(LSTMParams):
    """The LSTM to train; or, with `load`, the file or folder of a trained one that is queried instead."""

    load: str | None = Field(
        None, min_length=1, description="a model saved by `crossgate train`, queried instead of training"
    )

    @property
    def lstm(self) -> LSTMParams:
        """The settings that train a model, without the place of a saved one."""
        return LSTMParams(**self.model_dump(exclude={"load"}))
