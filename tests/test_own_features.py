"""A file of a user's own features: imported once, known by its content, proven like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted_market import SHORT, TINY, planted_market
from test_feature_registry import full_market

from crossgate.config import build_config, load_config
from foundation.errors import LookAheadError, ParameterError
from markets.market import Market
from models import features as registry
from models import own_features
from models.model_search import tune_model
from models.own_features import import_features
from models.parameters import FeatureParams, LSTMParams
from models.proof import check_feature
from models.trained import train_model
from models.walkforward import first_tests, walk_forward, walk_forward_models

EXAMPLE = Path(__file__).resolve().parents[1] / "backtests" / "configs" / "own_features.toml"
PLAIN = """
import crossgate as cg
RUNS.append(1)

@cg.feature(warm_up=lambda: 0, memory=lambda: 1)
def body(inputs):
    return (inputs.close / inputs.open - 1.0) * FACTOR
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """No feature that a test registers stays."""
    kinds, imported = registry.known_kinds(), dict(own_features._IMPORTED)
    yield
    registry.replace_kinds(kinds)
    own_features._IMPORTED.clear()
    own_features._IMPORTED.update(imported)


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    """The path of a file with some text."""
    (folder / name).write_text(text)
    return str(folder / name)


def counted(folder: Path, factor: float = 1.0) -> str:
    """A file of one feature that counts in a file beside it how often it was run."""
    count = f"with open({str(folder / 'runs')!r}, 'a') as file: file.write('x')"
    return write(folder, PLAIN.replace("RUNS.append(1)", count).replace("FACTOR", str(factor)))


def test_a_file_is_run_once(tmp_path: Path) -> None:
    """Parameters that name a file import it; the same content is not run again, other content is."""
    path = counted(tmp_path)
    for _ in range(3):
        FeatureParams(columns=("return:1", "body"), file=path)
    assert (tmp_path / "runs").read_text() == "x"
    first = import_features(path)
    counted(tmp_path, 2.0)
    assert import_features(path) != first
    assert (tmp_path / "runs").read_text() == "xx"
    write(tmp_path, PLAIN.replace("RUNS.append(1)", "").replace("body", "other").replace("FACTOR", "1"))
    import_features(path)
    assert "other" in registry.known_kinds()
    assert "body" not in registry.known_kinds(), "what the file no longer holds is forgotten"


def test_the_content_is_part_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remark in the file trains nothing anew; another value that it computes does."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "cache"))
    features = FeatureParams(columns=("return:1", "body"), file=counted(tmp_path))
    settings = {"walk": SHORT.replaced(scheme="holdout", seeds=1), "workers": 1}
    first = walk_forward(planted_market(), TINY, features, **settings)
    walk_forward(planted_market(), TINY, features, **settings)
    assert len(list(tmp_path.rglob("networks/*/*.npz"))) == 1
    with (tmp_path / "mine.py").open("a") as file:
        file.write("# a remark\n")
    again = walk_forward(planted_market(), TINY, features, **settings)
    assert len(list(tmp_path.rglob("networks/*/*.npz"))) == 1
    assert again.fingerprint == first.fingerprint
    counted(tmp_path, 2.0)
    walk_forward(planted_market(), TINY, FeatureParams(columns=features.columns, file=features.file), **settings)
    assert len(list(tmp_path.rglob("networks/*/*.npz"))) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "does not run: ZeroDivisionError: division by zero"),
        ("def (", "does not run: SyntaxError"),
        (PLAIN.replace("RUNS.append(1)", "").replace("body", "rsi").replace("FACTOR", "1"), "takes the name rsi"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    """A file that fails, or takes the name of a shipped feature, is one line, and leaves the registry as it was."""
    before = registry.known_kinds()
    with pytest.raises(ParameterError, match=said):
        FeatureParams(file=write(tmp_path, text))
    assert registry.known_kinds() == before
    with pytest.raises(ParameterError, match=r"features\.file = .*there is no such file"):
        FeatureParams(file=str(tmp_path / "none.py"))


def test_the_example_is_proven() -> None:
    """The shipped example loads from the folder of its config, and both of its features pass the proof."""
    config = load_config(EXAMPLE)
    assert config.features.file == str(EXAMPLE.with_suffix(".py"))
    assert build_config(config.record()) == config
    for name in ("range_position:48", "funding_change"):
        check_feature(name, full_market())


LEAKS = """
import numpy as np
import crossgate as cg

@cg.feature(warm_up=lambda: 1, memory=lambda: 2)
def peek(inputs):
    later = np.append(inputs.close[1:], inputs.close[-1]) / inputs.close - 1.0
    hour = inputs.timestamp // 3_600_000_000_000 % 24
    return np.where(WHEN, later, inputs.close / inputs.open - 1.0)
"""


def first_tests_of(market: Market, model: LSTMParams, features: FeatureParams, *, walk: Any, workers: int) -> Any:
    """What is asked before anything trains."""
    return first_tests([market], model, features, walk)


def search_on(market: Market, model: LSTMParams, features: FeatureParams, *, walk: Any, workers: int) -> Any:
    """A search for settings of the model."""
    return tune_model(market, model, features, walk=walk, trials=1, workers=workers)


@pytest.mark.parametrize("when", ["hour >= 0", "hour == 17"])
def test_a_feature_that_looks_ahead_trains_nothing(tmp_path: Path, when: str) -> None:
    """Also where it does so at one hour of the day alone: no network is trained on it, and the proof refuses it."""
    features = FeatureParams(columns=("peek",), file=write(tmp_path, LEAKS.replace("WHEN", when)))
    for train in (walk_forward, walk_forward_models, first_tests_of, search_on):
        with pytest.raises(LookAheadError, match=r"feature peek: is .* with other later bars"):
            train(planted_market(), TINY, features, walk=SHORT, workers=1)
    with pytest.raises(LookAheadError, match="feature peek"):
        train_model(planted_market(), model=TINY, features=features, seeds=1, workers=1)
    with pytest.raises(LookAheadError, match="feature peek"):
        check_feature("peek", planted_market())


def test_a_file_whose_features_were_taken_away_is_run_again(tmp_path: Path) -> None:
    """What counts is what is registered now, not what was imported once."""
    kinds = registry.known_kinds()
    path = counted(tmp_path)
    import_features(path)
    added = set(registry.known_kinds()) - set(kinds)
    registry.replace_kinds(kinds)
    import_features(path)
    assert added
    assert added <= set(registry.known_kinds())
