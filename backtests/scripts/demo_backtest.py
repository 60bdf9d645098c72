"""The main job: forecasts of an LSTM, confirmed by a crossover, traded on the embedded demo market."""

import crossgate as cg


def main(bars: int = 17_520, train: str = "270d", test: str = "90d", out: str = "runs/demo-script") -> None:
    market = cg.demo_market(bars=bars)
    forecasts = cg.walk_forward(market, train=train, test=test, seeds=3, seed=7)
    strategy = cg.CrossoverParams(fast=20, slow=50, threshold="0.5cost")
    risk = cg.RiskParams(leverage=3, stop_loss="2atr", take_profit="4atr")
    result = cg.backtest(market, forecasts, strategy, risk, name="demo-script")
    print(result)
    print("report:", cg.write_report(result, out))


if __name__ == "__main__":
    main()
