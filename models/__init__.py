"""Features, the LSTM, walk-forward training, forecasts and their skill. Only this room imports torch."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "Bar": "forecasts",
    "Calibration": "calibration",
    "CalibrationParams": "calibration",
    "FeatureParams": "parameters",
    "Forecast": "forecasts",
    "Forecaster": "forecasts",
    "ForecastSeries": "forecasts",
    "Forecasts": "forecasts",
    "LSTMParams": "parameters",
    "Skill": "skill",
    "TrainedModel": "trained",
    "WalkForwardParams": "parameters",
    "FeatureStepper": "stepping",
    "SampleStepper": "stepping",
    "check_feature": "proof",
    "compare_forecasts": "paired",
    "collect_forecasts": "forecasts",
    "forecast_evidence": "evidence",
    "forecast_skill": "skill",
    "interpret": "interpretation",
    "feature": "features",
    "parse_columns": "features",
    "load_model": "storage",
    "retraining_worth": "retraining",
    "save_model": "storage",
    "track_of": "track",
    "train_model": "trained",
    "SearchParams": "search_parameters",
    "tune_model": "model_search",
    "walk_forward": "walkforward",
    "with_intervals": "calibration",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
