"""Other risk settings on the same forecasts: only the first run trains, the rest play what it kept.

The best of several settings is chosen with hindsight: expect less of it on bars that had no part in
the choice.
"""

import crossgate as cg


def main(bars: int = 17_520, train: str = "270d", test: str = "90d") -> None:
    market = cg.demo_market(bars=bars)
    forecasts = cg.walk_forward(market, train=train, test=test, seed=7)
    runs = [
        cg.backtest(
            market,
            forecasts,
            cg.CrossoverParams(threshold="0.5cost"),
            cg.RiskParams(stop_loss=stop_loss, take_profit="4atr"),
            name=f"stop {stop_loss}",
        )
        for stop_loss in ("1atr", "2atr", "3atr", "2%")
    ]
    print(cg.compare(*runs))


if __name__ == "__main__":
    main()
