"""The exchange: one bar of every symbol, by the rules of docs/fills.md."""
