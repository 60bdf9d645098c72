"""Text scores: how glad or sorry a text sounds, from -1 to 1, by a scorer that can be chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from foundation.errors import DataError, ParameterError, suggestion
from foundation.own_code import run_file
from markets.candles import FloatArray

Scorer = Callable[[str], float]
_MAKERS: dict[str, Callable[[], Scorer]] = {}


def text_scorer(name: str) -> Callable[[Scorer], Scorer]:
    """The decorator that registers a function from a text to a number from -1 to 1 as a scorer of some name."""

    def register(scorer: Scorer) -> Scorer:
        _MAKERS[name] = lambda: scorer
        return scorer

    return register


def score_texts(texts: Sequence[str], scorer: str) -> FloatArray:
    """The scores of some texts, float64, by a scorer of that name or by the function that `module:function` or
    `path.py:function` names.

    Raises DataError for a score outside -1 to 1, ParameterError for a scorer that is not there. Name only modules that
    you trust: they are run.
    """
    if ":" not in scorer and scorer not in _MAKERS:
        raise ParameterError("exogenous.scorer", "is not known", value=scorer, fix=suggestion(scorer, _MAKERS))
    score = _imported(scorer) if ":" in scorer else _MAKERS[scorer]()
    scores = np.array([score(text) for text in texts], dtype=np.float64)
    wrong = ~(np.abs(scores) <= 1.0)
    if wrong.any():
        row = int(np.argmax(wrong))
        problem = f"gives {scores[row]} for {texts[row][:40]!r}"
        raise DataError(f"scorer {scorer}", problem, fix="a number from -1 to 1")
    return scores


def _imported(name: str) -> Scorer:
    module, _, function = name.rpartition(":")
    try:
        file = module.endswith(".py")
        own = run_file(Path(module), f"scorer_{Path(module).stem}") if file else importlib.import_module(module)
        found = getattr(own, function, None)
    except (ImportError, OSError) as error:
        fix = "a module that Python finds, such as mine:tone for mine.py in PYTHONPATH"
        raise ParameterError("exogenous.scorer", f"cannot be imported ({error})", value=name, fix=fix) from None
    if not callable(found):
        fix = "a function from a text to a number from -1 to 1"
        raise ParameterError("exogenous.scorer", f"has no function {function}", value=name, fix=fix)
    scorer: Scorer = found
    return scorer


@cache
def _vader() -> Scorer:
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        fix = 'install it with pip install "vadersentiment>=3.3.2,<4" (the extra "text")'
        raise ParameterError("exogenous.scorer", "is not installed", value="vader", fix=fix) from None
    analyzer = SentimentIntensityAnalyzer()
    return lambda text: float(analyzer.polarity_scores(text)["compound"])


_MAKERS["vader"] = _vader
