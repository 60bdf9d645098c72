"""The kernel: settings played side by side without Backtrader, through the rules of the same exchange."""
