"""Two features of one's own, for own_features.toml."""

import numpy as np

import crossgate as cg


@cg.feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
def range_position(inputs, bars=20):
    """Where the close lies between the lowest low and the highest high of some bars, from -1 to 1."""
    windows = np.lib.stride_tricks.sliding_window_view
    position = np.full(len(inputs), np.nan)
    if len(inputs) >= bars:
        low = windows(inputs.low, bars).min(axis=1)
        high = windows(inputs.high, bars).max(axis=1)
        middle, half = (high + low) / 2.0, (high - low) / 2.0
        position[bars - 1 :] = (inputs.close[bars - 1 :] - middle) / np.where(half > 0.0, half, 1.0)
    return position


class FundingChange:
    """The same bar by bar: how much the rate that is known has moved since the bar before."""

    def __init__(self):
        self.last = float("nan")

    def __call__(self, bar):
        rate, self.last = self.last, bar.known["funding_rate"]
        return self.last - rate


@cg.feature(warm_up=lambda: 1, memory=lambda: 2, needs=("funding_rate",), step=FundingChange)
def funding_change(inputs):
    """How much the funding rate that is known has moved since the bar before."""
    return np.diff(inputs.series("funding_rate"), prepend=np.nan)
