"""Interpretation and the worth of retraining in front of people: run folder, page, config and command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted_market import FEW, TINY, planted_market

from crossgate.command_line import main
from models.parameters import LSTMParams, WalkForwardParams
from models.retraining import (
    Worth,
    cheap_worth,
    extra_networks,
    network_seconds,
    retraining_forecasts,
    retraining_ways,
    retraining_worth,
)
from models.walkforward import walk_forward

SMALL = (
    "market.bars=1400", "model.hidden=4", "model.steps=10", "model.batch=8", "model.chunk=32", "walk_forward.train=40d",
    "walk_forward.test=10d", "walk_forward.seeds=1", "walk_forward.embargo=1h", "walk_forward.drift_window=15d",
    "run.retraining=true",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run of the demo config that measures all of it."""
    where = tmp_path_factory.mktemp("interpreted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSGATE_CACHE", str(where / "cache"))
        assert command(patch, "backtest", "--out", where / "run", *(w for one in SMALL for w in ("--set", one))) == 0
    return where / "run"


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of `crossgate` with some words."""
    monkeypatch.setattr(sys, "argv", ["crossgate", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_what_a_run_folder_holds(folder: Path) -> None:
    """Importance and attributions as JSON, coefficients and gates bar by bar as a table."""
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())["interpretation"]["DEMOUSDT"]
    assert len(found["importance"]) == len(found["features"]) == 5
    assert found["importance"] == sorted(found["importance"], key=lambda one: -one["rise"])
    assert np.shape(found["attributions"]) == (64, 5)
    table = pd.read_parquet(folder / "interpretation.parquet")
    assert list(table.columns[:3]) == ["timestamp", "symbol", "coefficient return:1"]
    assert len(table) == 1400 - 960
    assert table.filter(like="forget").to_numpy().min() > 0.0


def test_what_the_page_says(folder: Path) -> None:
    """The section with its figures, and the gains of each way to retrain over the others."""
    page = (folder / "report.html").read_text()
    for text in (
        "What the forecasts rest on",
        "coefficients0-wide",
        "gates0-narrow",
        "the units of the networks remember",
    ):
        assert text in page
    for text in (
        "What was retraining worth?",
        "scheduled over frozen",
        "on drift over frozen",
        "on drift over scheduled",
    ):
        assert text in page


def test_the_command_says_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`crossgate skill RUN --retraining` comes to the figures of the run, and trains nothing that is kept."""
    kept = json.loads((folder / "metrics.json").read_text())["retraining"]
    assert [one["name"] for one in kept["DEMOUSDT"]["contenders"]] == ["frozen", "scheduled", "on drift"]
    monkeypatch.setenv("CROSSGATE_CACHE", str(folder.parent / "cache"))
    monkeypatch.setattr("models.training.train_networks", None)
    assert command(monkeypatch, "skill", folder, "--retraining", "--json") == 0
    assert json.loads(capsys.readouterr().out)["retraining"] == kept
    assert command(monkeypatch, "skill", folder, "--retraining") == 0
    assert "on drift over scheduled" in capsys.readouterr().out


def test_it_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Without `interpretation` and `retraining` there is neither section nor table; the folder may be written over."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(folder.parent / "cache"))
    left_out = ("run.interpretation=false", "run.retraining=false")
    words = [w for one in (*SMALL[:-1], *left_out) for w in ("--set", one)]
    for _ in range(2):
        assert command(monkeypatch, "backtest", "--out", tmp_path / "run", *words) == 0
    assert not (tmp_path / "run" / "interpretation.parquet").exists()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What the forecasts rest on" not in page
    assert "What was retraining worth?" not in page
    assert "What retraining was worth was not measured: `crossgate skill RUN --retraining`" in page


def test_the_ways_differ_in_nothing_else() -> None:
    """Frozen trains once, scheduled every test, on drift when it drifts; all else stays as it was written."""
    walk = WalkForwardParams(scheme="rolling", train="15d", test="5d", seeds=1, embargo="1h", drift_window="5d")
    ways = retraining_ways(walk)
    assert ways["scheduled"] == walk
    assert ways["frozen"] == walk.replaced(scheme="holdout")
    assert ways["on drift"] == walk.replaced(retrain="drift")
    assert list(retraining_ways(walk.replaced(pooled=True))) == ["frozen", "scheduled", "on drift"]
    assert retraining_ways(walk.replaced(scheme="holdout"))["scheduled"].scheme == "expanding"
    market = planted_market(600)
    made = retraining_forecasts(market, TINY, FEW, walk=walk, workers=1, cache=False)
    assert {name: len(set(one.series["TEST"].model)) for name, one in made.items()} == {
        "frozen": 1, "scheduled": 2, "on drift": 1 + len(made["on drift"].retrainings),
    }  # fmt: skip
    alone = walk_forward(market, TINY, FEW, walk=walk, workers=1, cache=False)
    assert made["scheduled"].fingerprint == alone.fingerprint


WALK = WalkForwardParams(scheme="rolling", train="15d", test="5d", seeds=2, embargo="1h", drift_window="5d")


@pytest.fixture(scope="module")
def cheap() -> Callable[..., Worth]:
    """What a report says unasked of retraining, of a planted market of 600 bars."""
    market = planted_market(600)

    def measure(**changes: Any) -> Worth:
        walk = WALK.replaced(**changes)
        made = walk_forward(market, TINY, FEW, walk=walk, workers=1, cache=False)
        return cheap_worth(market, made, TINY, FEW, walk, workers=1, cache=False)

    return measure


def test_every_walk_forward_says_what_retraining_is_worth(
    cheap: Callable[..., Worth], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unasked it comes to what is said when asked; what would cost too much is left out with its price."""
    asked = retraining_worth(planted_market(600), TINY, FEW, walk=WALK, workers=1, cache=False)
    assert cheap() == Worth(asked, "")
    monkeypatch.setattr("models.retraining.SMALL_SECONDS", 0.0)
    found = cheap(drift_retrains=7)
    assert [one.name for one in found.pairs[0].contenders] == ["frozen", "scheduled"]
    # One pair alone is not held to what three would have to show.
    alone, among = found.pairs[0].gains[0], asked[0].gains[0]
    assert alone._replace(adjusted_p=among.adjusted_p) == among
    assert alone.adjusted_p <= among.adjusted_p
    assert "on drift (up to 14 networks, about 0 s of one core)" in found.note
    assert "`crossgate skill RUN --retraining` trains it" in found.note


def test_why_nothing_is_said_of_retraining(cheap: Callable[..., Worth]) -> None:
    """One model cannot gain on itself; a window of drift that training does not hold is named."""
    assert cheap(test="100d") == Worth((), "Retraining cannot be worth anything here: all forecasts are of one model.")
    found = cheap(drift_window="30d")
    assert "on drift (walk_forward.drift_window" in found.note
    assert [one.name for one in found.pairs[0].contenders] == ["frozen", "scheduled"]


def test_the_most_networks_of_each_way() -> None:
    """The price is what a way trains at most beside the walk-forward's own: its first models are shared."""
    market = planted_market(600)
    for walk in (WALK, WALK.replaced(scheme="holdout"), WALK.replaced(retrain="drift", drift_psi=0.01)):
        made = walk_forward(market, TINY, FEW, walk=walk, workers=1, cache=False)
        for name, way in retraining_ways(walk).items():
            other = walk_forward(market, TINY, FEW, walk=way, workers=1, cache=False)
            models = len(set(other.series["TEST"].model))
            assert 2 * (models - 1) <= extra_networks(name, [market], made, walk), (name, walk)
    assert extra_networks("scheduled", [market], made, WALK) == 2 * 1
    assert (
        network_seconds(TINY.replaced(steps=200))
        < network_seconds(LSTMParams())
        < network_seconds(LSTMParams(layers=2))
    )
