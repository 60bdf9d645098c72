"""What stands under Backtrader: the broker, the feed and the loop."""
