"""What every room stands on: errors, parameters, files, fingerprints, compiled rules, progress."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "CrossgateError": "errors",
    "DataError": "errors",
    "LookAheadError": "errors",
    "ParameterError": "errors",
    "Parameters": "parameters",
    "Quantity": "units",
    "on_cluster": "cluster",
    "rule": "compilation",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
