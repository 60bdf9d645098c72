"""The trading rules: decide, size, stop and target; and the Backtrader strategies that apply them."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "CrossoverParams": "parameters",
    "LSTMCrossover": "lstm_crossover",
    "RiskParams": "parameters",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
