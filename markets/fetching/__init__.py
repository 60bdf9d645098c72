"""Fetching market data from venues: paged, retried, resumable, and stored only when it is whole."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "Connection": "connection",
    "Retry": "retry",
    "VENUES": "venues",
    "fetch_market": "fetching",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
