"""How much the forecast has to promise before a trade: three thresholds on the same forecasts, side by side."""

import crossgate as cg


def main(bars: int = 17_520, train: str = "270d", test: str = "90d", out: str = "runs/thresholds") -> None:
    market = cg.demo_market(bars=bars)
    forecasts = cg.walk_forward(market, train=train, test=test, seed=7)
    runs = [
        cg.backtest(market, forecasts, cg.CrossoverParams(threshold=threshold), name=threshold)
        for threshold in ("0bps", "0.5cost", "1cost")
    ]
    comparison = cg.compare(*runs, out=f"{out}.html")
    print(comparison)
    print("page:", comparison.path)


if __name__ == "__main__":
    main()
