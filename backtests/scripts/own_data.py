"""A market of one's own: parquet files in a data folder, traded for two years of BTCUSDT."""

import crossgate as cg


def main(
    data: str | None = None, start: str = "2021-01-01", end: str = "2024-01-01", train: str = "365d", test: str = "90d",
    out: str = "runs/own-data",
) -> None:  # fmt: skip
    market = cg.load_market(
        "binance_usdm:BTCUSDT",
        candles="ohlcv/binance_um_BTCUSDT_1h.parquet",
        mark="mark/binance_um_BTCUSDT_mark_8h.parquet",
        funding="funding/binance_um_BTCUSDT_funding.parquet",
        data=data,
        start=start,
        end=end,
    )
    forecasts = cg.walk_forward(market, train=train, test=test, seed=7)
    result = cg.backtest(market, forecasts, account=cg.AccountParams(cash=5_000), name="own-data")
    print(result)
    print("report:", cg.write_report(result, out))


if __name__ == "__main__":
    main()
