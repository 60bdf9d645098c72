"""Candles, contracts, margin rules, funding and mark price; reading and checking them."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "Candles": "candles",
    "Contract": "contract",
    "Exogenous": "exogenous",
    "ExogenousParams": "exogenous_files",
    "Funding": "funding",
    "LiveSeries": "live_series",
    "Market": "market",
    "Published": "live_series",
    "demo_market": "demo",
    "find_contract": "contract",
    "load_book_market": "book_series",
    "load_exogenous": "exogenous_files",
    "load_market": "store",
    "text_scorer": "text_scores",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
