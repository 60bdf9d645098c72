"""Folds: which bars train, which test, and how far they are apart."""

from __future__ import annotations

import numpy as np
import pytest
from simple_market import HOUR, START

from foundation.errors import DataError, ParameterError
from models.parameters import WalkForwardParams
from models.schedule import Fold, make_folds

STAMPS = START + HOUR * np.arange(1000)


def folds(count: int = 1000, memory: int = 30, **walk: object) -> list[Fold]:
    """Folds over hourly candles: train 10 days (240 bars), test 5 days (120 bars)."""
    params = WalkForwardParams(**{"train": "10d", "test": "5d", **walk})
    return make_folds(STAMPS[:count], HOUR, params, memory)


@pytest.mark.parametrize("scheme", ["expanding", "rolling", "holdout"])
def test_tests_follow_each_other(scheme: str) -> None:
    """The tests cover every bar after the first training span once, in order, to the last candle."""
    made = folds(scheme=scheme)
    rows = np.concatenate([np.arange(fold.test_first, fold.test_last) for fold in made])
    assert np.array_equal(rows, np.arange(240, 1000))
    assert [fold.number for fold in made] == list(range(len(made)))


def test_schemes() -> None:
    """Expanding trains from the first candle, rolling on the last 240 bars, holdout once."""
    assert [fold.train_first for fold in folds(scheme="expanding")] == [0] * 7
    assert [fold.train_first for fold in folds(scheme="rolling")] == [0, 120, 240, 360, 480, 600, 720]
    assert len(folds(scheme="holdout")) == 1


def test_purge_and_embargo() -> None:
    """Purge and the features' memory lie between the training rows and the test."""
    assert {fold.test_first - fold.train_last for fold in folds()} == {31}
    assert {fold.test_first - fold.train_last for fold in folds(purge=5, embargo="2d")} == {53}
    assert {fold.test_first - fold.train_last for fold in folds(embargo="90m")} == {3}


@pytest.mark.parametrize("embargo", ["auto", "0h", "1h", "3d"])
def test_trained_through(embargo: str) -> None:
    """`trained_through` is the close of the label of the last training row, before the test opens."""
    for fold in folds(embargo=embargo, memory=1):
        label_bar = fold.train_last - 1 + 1
        assert fold.trained_through == STAMPS[label_bar] + HOUR
        assert fold.trained_through < STAMPS[fold.test_first]


def test_last_fold_may_be_short() -> None:
    """The last test is as long as the candles are, down to a single bar."""
    assert [fold.test_last - fold.test_first for fold in folds(361)] == [120, 1]
    assert [fold.test_last - fold.test_first for fold in folds(360)] == [120]


def test_too_few_candles() -> None:
    """Without one bar to test the error says how many are needed."""
    assert len(folds(241)) == 1
    with pytest.raises(DataError, match=r"holds 240 bars; walk_forward.train = 10d needs at least 241"):
        folds(240)


def test_durations_that_cannot_be() -> None:
    """A train that the embargo eats up, or spans below a bar, are errors that name the key."""
    with pytest.raises(ParameterError, match=r"walk_forward\.train = '10d': is no longer than purge and embargo, 251"):
        folds(memory=250)
    with pytest.raises(ParameterError, match=r"walk_forward\.test = '30m': is shorter than one bar of 1h"):
        folds(test="30m")
    with pytest.raises(ParameterError, match=r"walk_forward\.embargo"):
        folds(embargo="soon")
    with pytest.raises(ParameterError, match=r"walk_forward\.scheme"):
        folds(scheme="random")
