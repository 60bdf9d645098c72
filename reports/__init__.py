"""Everything a person looks at after a run: metrics, figures, pages and comparisons."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "compare": "comparison",
    "compute_metrics": "metrics",
    "write_report": "report",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
