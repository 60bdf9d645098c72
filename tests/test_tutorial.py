"""The tutorial, executed: each of its commands in turn, on a market of 100 days."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from crossgate.command_line import main
from markets.demo import demo_market

TUTORIAL = Path(__file__).resolve().parent.parent / "docs" / "tutorial.md"
SMALLER = {'"720d"': '"60d"', '"90d"': '"15d"', "seeds = 3": "seeds = 1", "steps = 400": "steps = 5"}
# Needs the network, and has tests of its own against a venue on this machine.
UNREACHED = "crossgate data fetch "


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the tutorial speaks of, where its commands are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "ledger"))
    market = demo_market(seed=11, bars=2400)
    assert market.funding is not None
    market.candles.frame().to_csv("BTCUSDT-1h.csv", index=False)
    stamps = pd.to_datetime(market.funding.timestamp, utc=True)
    pd.DataFrame({"timestamp": stamps, "funding_rate": market.funding.rate}).to_csv("BTCUSDT-funding.csv", index=False)
    (config,) = re.findall(r"^```toml\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for long, short in SMALLER.items():
        assert config.count(long) == 1, long
        config = config.replace(long, short)
    Path("first.toml").write_text(config, "utf-8")
    return tmp_path


def sealed(config: Path) -> None:
    """What the tutorial asks for once the last ten days are sealed: the config ends before them."""
    text = config.read_text("utf-8")
    config.write_text(text.replace('bar = "1h"\n', 'bar = "1h"\nend = 2022-04-01\n'), "utf-8")


def run(command: str) -> int:
    """The exit code of a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", shlex.split(command))
        patch.setenv("COLUMNS", "160")
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def test_every_command_of_the_tutorial_works(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In order, from files to a verdict, each ends well and leaves what the tutorial says."""
    blocks = re.findall(r"^```console\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if not line.startswith(UNREACHED)]
    assert len(commands) >= 15
    said = {}
    for command in commands:
        # Two runs that part are told by the exit code, too.
        code = 1 if command.startswith("crossgate diff ") else 0
        assert run(command.replace("180d", "10d")) == code, (command, capsys.readouterr())
        said[command] = capsys.readouterr().out
        if command.startswith("crossgate seal "):
            sealed(desk / "first.toml")
    for left in ("runs/first/report.html", "first.md", "trades.csv", "runs/both.html", "runs/wide/metrics.json"):
        assert (desk / left).is_file(), left
    assert "Verdict, rung" in said["crossgate verdict runs/first --data data"]
    assert "they part at" in said["crossgate diff runs/first runs/wide"]
    assert "fills are the same" in said["crossgate reproduce runs/first"]
    assert "tutorial" in said["crossgate runs runs --sort sharpe"]
