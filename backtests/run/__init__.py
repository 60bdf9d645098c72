"""A run: what one backtest is and leaves."""
