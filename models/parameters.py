"""The parameters of forecasting: which features, which network, and how it walks forward."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field

from foundation.errors import ParameterError
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity, parse_quantity

DURATIONS = ("m", "h", "d", "w")
_COLUMNS = 'a list of features with their bars, such as ["return:1", "ema_distance:20", "macd:12:26:9"]'


# Bars that warm the state before validation rows in every training, whatever `replay` says of forecasts.
WARM_UP = 128

Output = Literal["mean", "gaussian", "student", "quantiles", "volatility", "barrier", "position"]


def _one_of(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _read_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read_embargo(value: Any) -> Any:
    return value if value == "auto" else str(parse_quantity(value, DURATIONS, positive=False))


# What some outputs say besides mean and sigma.
_MORE = {"student": ("degrees_of_freedom",), "barrier": ("up_probability",), "position": ("position",)}


class FeatureParams(Parameters):
    """What the network is shown at each bar, and how it is scaled.

    `columns` names features of models/indicators.py, of `file` (Python, your own) or of an exogenous series, with
    their bars.
    `scaling`: `standard` (mean 0, deviation 1), `minmax` (from -1 to 1) or `robust` (median 0,
    interquartile range 1), each fitted on training rows only. With `units = "volatility"` features
    that are relative price changes are first divided by the trailing volatility of their row, so that
    they mean the same in calm and in wild times; `plain` leaves them as they are.
    """

    table: ClassVar[str] = "features"

    columns: Annotated[tuple[str, ...], BeforeValidator(_read_list)] = Field(
        ("return:1", "ema_distance:20", "rsi:14", "atr:14", "vwap_distance:24"), min_length=1, description=_COLUMNS
    )
    file: str | None = Field(None, min_length=1, description="a Python file of your own features, which is run")
    scaling: Literal["standard", "minmax", "robust"] = Field("standard", description='"standard", "minmax" or "robust"')
    units: Literal["volatility", "plain"] = Field("volatility", description='"volatility" or "plain"')

    def model_post_init(self, context: object) -> None:
        from models.features import parse_column

        self.content()
        names = [parse_column(name).name for name in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise ParameterError("features.columns", "stands there twice", value=name, fix="keep one")

    def content(self) -> str:
        """The fingerprint of the file of own features, which is imported; empty without one."""
        if self.file is None:
            return ""
        from models.own_features import import_features

        return import_features(self.file)


class LSTMParams(Parameters):
    """The network and its training.

    `head`: `coefficients` (mean = a(h) . x + b(h), coefficients that vary with the state h) or
    `linear` (mean = b(h)). `start`: training begins at the ridge `regression` of the target on the
    inputs, or at `zero`; the linear head can only take over its constant. The target is the next log
    return over the trailing volatility, an exponential average over `volatility_bars`. One step trains
    on `batch` random chunks of `chunk` bars, each after `burn_in` bars that only warm the state. The
    last `validation` share of the training rows chooses when to stop: every `check` steps; after
    `patience` steps without a better loss training ends, and the best weights so far count, each a running
    average over steps (`averaging`). The state
    is run over `replay` bars before the first forecast.

    `output` says what is learned: `mean` (squared error), `gaussian` and `student` (mean and sigma, by
    likelihood), `quantiles` (at the probabilities `levels`), `volatility` (sigma alone, of the next bar's
    range), `barrier` (which of two prices `barrier_sigma` volatilities away is touched first within
    `barrier_bars`) and `position` (from -1 to 1, the Sharpe ratio after `turnover_cost` volatilities
    for each unit traded). Where it says a sigma, that is learned as a residual on `variance_base`: the
    trailing volatility (`ewma`), a regression on average deviations and falls over `har_bars` (`har`), or the
    likeliest sum of exponential averages of ranges and falls over as many bars (`leverage`),
    measured by `range_measure`. With `recalibration_bars` each sigma is multiplied with the root of the exponential
    mean, over as many bars, of realised over forecast variance; 0 leaves it as the network says.
    docs/models.md has the formulas.

    `device`: where networks train (models/devices.py); "auto" takes a GPU where there is one. It changes the weights by
    rounding only. `replay` changes forecasts, and no training.
    """

    table: ClassVar[str] = "model"

    output: Output = Field("mean", description=_one_of(get_args(Output)))

    hidden: int = Field(16, ge=1, le=1024, description="size of the state, a whole number from 1 to 1024")
    layers: int = Field(1, ge=1, le=4, description="LSTM layers, a whole number from 1 to 4")
    head: Literal["coefficients", "linear"] = Field("coefficients", description='"coefficients" or "linear"')
    start: Literal["regression", "zero"] = Field("regression", description='"regression" or "zero"')
    dropout: float = Field(0.0, ge=0, lt=1, description="a share of inputs and states from 0 to below 1")
    steps: int = Field(200, ge=1, le=100_000, description="training steps at most, a whole number from 1 to 100000")
    batch: int = Field(64, ge=1, le=4096, description="chunks in a step, a whole number from 1 to 4096")
    chunk: int = Field(128, ge=2, le=4096, description="bars with a loss in a chunk, a whole number from 2 to 4096")
    burn_in: int = Field(16, ge=0, le=4096, description="bars that warm a chunk's state, a whole number from 0 to 4096")
    learning_rate: float = Field(
        0.02, gt=0, le=1, description="the peak of the schedule, above 0 up to 1, such as 0.01"
    )
    weight_decay: float = Field(0.5, ge=0, le=10, description="of AdamW, from 0 to 10, such as 0.1")
    averaging: float = Field(
        0.95, ge=0, lt=1, description="share of the averaged weights that stays at each step, from 0 to below 1"
    )
    validation: float = Field(
        0.2, gt=0, le=0.5, description="a share of the training rows above 0 up to 0.5, such as 0.2"
    )
    check: int = Field(
        5, ge=1, le=10_000, description="steps between two looks at the validation loss, from 1 to 10000"
    )
    patience: int = Field(40, ge=1, le=100_000, description="steps without a better validation loss, from 1 to 100000")
    volatility_bars: int = Field(32, ge=2, le=5000, description="bars of the trailing volatility, from 2 to 5000")
    replay: int = Field(
        128, ge=128, le=10_000, description="bars that warm the state before a forecast, from 128 to 10000"
    )
    variance_base: Literal["ewma", "har", "leverage"] = Field("ewma", description='"ewma", "har" or "leverage"')
    har_bars: Annotated[tuple[int, ...], BeforeValidator(_read_list)] = Field(
        (1, 5, 22), min_length=1, max_length=6, description="rising numbers of bars from 1 to 5000, such as [1, 5, 22]"
    )
    range_measure: Literal["parkinson", "true_range"] = Field(
        "parkinson", description='"parkinson" (high over low) or "true_range" (the gap from the close before, too)'
    )
    recalibration_bars: int = Field(
        0, ge=0, le=100_000, description="bars of the running level of sigma, from 0 (none) to 100000, such as 250"
    )
    levels: Annotated[tuple[float, ...], BeforeValidator(_read_list)] = Field(
        (0.05, 0.25, 0.5, 0.75, 0.95), min_length=3, max_length=99,
        description="rising probabilities with 0.5 in their middle, such as [0.05, 0.5, 0.95]",
    )  # fmt: skip
    barrier_sigma: float = Field(
        2.0, gt=0, le=100, description="trailing volatilities to each barrier, above 0 up to 100"
    )
    barrier_bars: int = Field(12, ge=1, le=1000, description="bars until a barrier label ends, from 1 to 1000")
    turnover_cost: float = Field(
        0.1, ge=0, le=10, description="cost of trading one unit, in trailing volatilities, from 0 to 10"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description='"auto", "cpu" or "cuda"')

    def model_post_init(self, context: object) -> None:
        if list(self.har_bars) != sorted(set(self.har_bars)) or not 1 <= self.har_bars[0] <= self.har_bars[-1] <= 5000:
            fix = "whole numbers from 1 to 5000, such as [1, 5, 22]"
            raise ParameterError("model.har_bars", "should rise", value=list(self.har_bars), fix=fix)
        levels = self.levels
        rising = all(low < high for low, high in pairwise((0.0, *levels, 1.0)))
        if not rising or len(levels) % 2 == 0 or levels[len(levels) // 2] != 0.5:
            fix = "such as [0.05, 0.5, 0.95]"
            raise ParameterError(
                "model.levels", "should rise between 0 and 1, 0.5 in their middle", value=list(levels), fix=fix
            )

        if self.recalibration_bars and self.output == "quantiles":
            fix = "0, or another output"
            raise ParameterError(
                "model.recalibration_bars", "learned quantiles have no sigma to bring to a level",
                value=self.recalibration_bars, fix=fix,
            )  # fmt: skip

    def without_device(self) -> dict[str, Any]:
        """The settings that say what is learned, for JSON: all but the device."""
        return self.model_dump(mode="json", exclude={"device"})

    def used_in_training(self) -> dict[str, Any]:
        """The settings that the training of a network reads, for JSON, beside its rows: those of its output alone.

        What only makes rows (bars of averages, barriers, the validation share) is seen in these, `replay` warms
        forecasts, and the device counts apart.
        """
        unread = {"device", "replay", "validation", "volatility_bars", "har_bars", "range_measure"}
        unread |= {"barrier_sigma", "barrier_bars"}
        unread |= {"levels"} if self.output != "quantiles" else set()
        unread |= {"turnover_cost"} if self.output != "position" else set()
        unread |= {"head"} if self.output == "volatility" else set()
        shape = {name: getattr(self, name) for name in ("raw_values", "has_coefficients", "learns_sigma")}
        return {**self.model_dump(mode="json", exclude=unread), **shape}

    @property
    def horizon(self) -> int:
        """Bars after row t until its label is known."""
        return self.barrier_bars if self.output == "barrier" else 1

    @property
    def raw_values(self) -> int:
        """How many raw values a network gives to make the output of."""
        return {"gaussian": 2, "student": 2, "barrier": 2, "quantiles": len(self.levels)}.get(self.output, 1)

    @property
    def learns_sigma(self) -> bool:
        """Whether the spread of the next bar is learned, and not only what is expected of it."""
        return self.output in ("gaussian", "student", "quantiles", "volatility")

    @property
    def has_coefficients(self) -> bool:
        """Whether the first raw value has coefficients that vary with the state; sigma alone has none."""
        return self.head == "coefficients" and self.output != "volatility"

    @property
    def outputs(self) -> tuple[str, ...]:
        """The columns of what a network says of a row: `mean` and `sigma`, and what its output has besides."""
        if self.output == "quantiles":
            return ("mean", "sigma", *(f"quantile {level:g}" for level in self.levels))
        return ("mean", "sigma", *_MORE.get(self.output, ()))


class WalkForwardParams(Parameters):
    """How the model is retrained as time goes on, so that every forecast is out of sample.

    The first test begins `train` after the first candle; each lasts `test` (the last one as long as
    the candles do). `expanding` trains on everything before a test, `rolling` on the `train` before it;
    `holdout` trains once and tests all that follows. The last rows before a test are left out of
    training: `purge` bars, at least the horizon of the label, and then an `embargo`, the longest memory of
    the features when "auto", and at least one bar. The mean over `seeds` models is the forecast.
    `pooled` trains one model on the rows of all markets, on one clock: every limit of time counts for all of them.
    Its inputs are scaled for each `symbol`, or by one scaler for the `pooled` rows (`pooled_scaling`).

    `retrain`: `scheduled` every `test`, or on `drift`: each model then lasts until its own forecasts have become
    less likely than they were (ADWIN at `drift_delta`), or until the features of the last `drift_window` lie elsewhere
    than in training (a population stability index above `drift_psi`), at least `drift_wait`; at most
    `drift_retrains` times, and `test` does not count. With `warm_start` a training begins at the
    weights of the model before.
    """

    table: ClassVar[str] = "walk_forward"

    scheme: Literal["holdout", "expanding", "rolling"] = Field(
        "expanding", description='"holdout", "expanding" or "rolling"'
    )
    train: Annotated[Quantity, Measured(DURATIONS)] = Field(
        Quantity(720.0, "d"), description='a duration such as "720d"'
    )
    test: Annotated[Quantity, Measured(DURATIONS)] = Field(Quantity(90.0, "d"), description='a duration such as "90d"')
    seeds: int = Field(3, ge=1, le=100, description="models in the ensemble, a whole number from 1 to 100")
    purge: int = Field(
        1,
        ge=1,
        le=10_000,
        description="bars, a whole number from 1 to 10000; a longer horizon of the label counts",
    )
    embargo: Annotated[str, BeforeValidator(_read_embargo)] = Field(
        "auto", description='"auto" (the longest memory of the features) or a duration such as "2d"'
    )
    pooled: bool = Field(False, description="true: one model for all markets; false: one for each")
    pooled_scaling: Literal["symbol", "pooled"] = Field("symbol", description='"symbol" or "pooled"')
    retrain: Literal["scheduled", "drift"] = Field("scheduled", description='"scheduled" or "drift"')
    warm_start: bool = Field(False, description="true: training begins at the weights of the model before")
    drift_delta: float = Field(
        0.002, gt=0, lt=1, description="how often ADWIN may err, above 0 and below 1, such as 0.002; lower is calmer"
    )
    drift_psi: float = Field(
        0.25, gt=0, le=100, description="a population stability index above 0 up to 100, such as 0.25"
    )
    drift_window: Annotated[Quantity, Measured(DURATIONS)] = Field(
        Quantity(30.0, "d"), description='a duration such as "30d"'
    )
    drift_wait: Annotated[Quantity, Measured(DURATIONS)] = Field(
        Quantity(14.0, "d"), description='a duration such as "14d"'
    )
    drift_retrains: int = Field(12, ge=0, le=10_000, description="refits at most, a whole number from 0 to 10000")

    def model_post_init(self, context: object) -> None:
        if self.retrain == "drift" and self.scheme == "holdout":
            fix = 'scheme = "rolling" or "expanding" says what a refit trains on'
            raise ParameterError("walk_forward.retrain", "holdout trains once", value=self.retrain, fix=fix)

    @property
    def sequential(self) -> bool:
        """Whether each model waits for the one before, so that only seeds and markets run side by side."""
        return self.warm_start or self.retrain == "drift"
