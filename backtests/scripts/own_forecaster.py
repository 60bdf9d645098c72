"""A forecaster of one's own: anything with a method `forecast(bar)` can stand in for the LSTM.

This one expects the next return to undo a tenth of the last one. It is shown each finished bar once, in
order, and answers with the expected log return of the next bar and its standard deviation.
"""

import math

import crossgate as cg


class Reversal:
    def __init__(self) -> None:
        self.last = math.nan
        self.variance = 1e-4

    def forecast(self, bar):
        move = math.log(bar.close / self.last) if self.last > 0 else math.nan
        self.last = bar.close
        if math.isnan(move):
            return math.nan, math.nan
        self.variance = 0.98 * self.variance + 0.02 * move * move
        return -0.1 * move, math.sqrt(self.variance)


def main(bars: int = 17_520, out: str = "runs/reversal") -> None:
    market = cg.demo_market(bars=bars)
    result = cg.backtest(market, Reversal(), cg.CrossoverParams(threshold="2bps"), name="reversal")
    print(result)
    print("report:", cg.write_report(result, out))


if __name__ == "__main__":
    main()
