"""The trial ledger: nothing tried is forgotten, doubled or taken back unseen."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.chain import ORIGIN, Head
from foundation.errors import DataError, ParameterError
from foundation.trials import Batch, Span, TrialLedger, batch_of, ledger_home

TREE = Path(__file__).resolve().parent.parent
BTC = Span("binance_usdm:BTCUSDT", 100, 200)
ETH = Span("binance_usdm:ETHUSDT", 100, 200)
WRITE = """
import sys
from pathlib import Path
from foundation.trials import Span, TrialLedger, batch_of
ledger = TrialLedger(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    spans = [Span("binance_usdm:BTCUSDT", 100, 200)]
    ledger.record(batch_of("sweep", spans, {}, f"{sys.argv[2]}-{number}", [0.1, 0.2]))
    print(number, flush=True)
"""


def batch(content: str = "one", *, span: Span = BTC, sharpe: tuple[float, ...] = (0.01, 0.03)) -> Batch:
    """A sweep over the stop with some Sharpe ratios."""
    return batch_of("sweep", [span], {"risk.stop_loss": ["1%", "2%"]}, content, sharpe)


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    """Another process that records batches and says which."""
    words = [sys.executable, "-c", WRITE, str(folder), name, str(count)]
    return subprocess.Popen(words, cwd=TREE, stdout=subprocess.PIPE, text=True)


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    """A batch comes back as it was, with its moments and its block sums."""
    ledger, blocks = TrialLedger(tmp_path), np.arange(32.0).reshape(2, 16)
    head = ledger.record(batch(), blocks)
    again = TrialLedger(tmp_path)
    assert again.batches() == [batch()]
    assert again.head() == head == Head(1, head.digest, head.written)
    kept = again.blocks("one")
    assert kept is not None
    assert np.array_equal(kept, blocks)
    assert again.blocks("two") is None


def test_an_empty_ledger_holds_nothing(tmp_path: Path) -> None:
    """A ledger that was never written has no trials, and its head is the origin."""
    ledger = TrialLedger(tmp_path / "none")
    assert ledger.head() == Head(0, ORIGIN)
    assert ledger.tried([BTC]).trials == 0
    assert ledger.holds(Head(0, ORIGIN))
    assert not (tmp_path / "none").exists()


def test_the_same_trials_made_again_count_once(tmp_path: Path) -> None:
    """A batch of equal content is the same evidence, whenever it is played."""
    ledger = TrialLedger(tmp_path)
    assert ledger.record(batch()) == ledger.record(batch())
    ledger.record(batch("other"))
    assert ledger.tried([BTC]).trials == 4


def test_what_was_put_down_before_it_was_played_counts_once(tmp_path: Path) -> None:
    """A sweep counts from its first piece on, without moments; the same one rated takes its place, and stays."""
    ledger, begun = TrialLedger(tmp_path), batch_of("sweep", [BTC], {"risk.stop_loss": ["1%", "2%"]}, "one", [], 2)
    ledger.record(begun)
    tried = ledger.tried([BTC])
    assert (tried.trials, tried.rated) == (2, 0)
    head = ledger.record(batch(), np.ones((2, 16)))
    assert (ledger.batches(), ledger.record(begun)) == ([batch()], head)
    tried = ledger.tried([BTC])
    assert (tried.trials, tried.rated) == (2, 2)
    assert ledger.blocks("one") is not None


def test_records_that_are_known_are_not_taken_on_trust(tmp_path: Path) -> None:
    """A record that this process has read is read anew where its bytes have changed, or are fewer."""
    ledger = TrialLedger(tmp_path)
    ledger.record(batch())
    ledger.record(batch("two"))
    assert len(TrialLedger(tmp_path).batches()) == 2
    text = ledger.path.read_text()
    ledger.path.write_text(text.replace('"trials": 2', '"trials": 1', 1))
    with pytest.raises(DataError, match="record 1 is not as it was written"):
        TrialLedger(tmp_path).batches()
    ledger.path.write_text(text)
    assert len(ledger.batches()) == 2
    ledger.path.write_text("".join(text.splitlines(keepends=True)[:1]))
    assert [one.content for one in ledger.batches()] == ["one"]


def test_one_more_bar_does_not_reset_the_count(tmp_path: Path) -> None:
    """Trials are matched by contract and overlap in time, not by equal data."""
    ledger = TrialLedger(tmp_path)
    ledger.record(batch())
    ledger.record(batch("longer", span=BTC._replace(last=201)))
    ledger.record(batch("eth", span=ETH))
    ledger.record(batch("later", span=BTC._replace(first=300, last=400)))
    assert ledger.tried([BTC._replace(last=250)]).trials == 4
    assert ledger.tried([BTC._replace(first=201, last=299)]).trials == 2
    assert ledger.tried([BTC._replace(first=202, last=299)]).trials == 0
    assert ledger.tried([BTC, ETH]).trials == 6


@given(st.lists(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=6), min_size=1, max_size=5))
def test_moments_pool_to_those_of_all_trials(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[float]]
) -> None:
    """Batches pooled have the moments of all their trials taken together."""
    ledger = TrialLedger(tmp_path_factory.mktemp("ledger"))
    for number, group in enumerate(groups):
        ledger.record(batch(str(number), sharpe=tuple(group)))
    every, tried = np.concatenate([np.array(group) for group in groups]), ledger.tried([BTC])
    assert (tried.trials, tried.rated) == (len(every), len(every))
    assert tried.mean == pytest.approx(every.mean(), abs=1e-12)
    assert tried.variance == pytest.approx(every.var(), abs=1e-12)
    assert tried.best == every.max()


def test_trials_without_a_ratio_count_but_are_not_rated(tmp_path: Path) -> None:
    """A setting that never traded is a trial all the same, without a place in the moments."""
    ledger = TrialLedger(tmp_path)
    ledger.record(batch(sharpe=(0.02, math.nan)))
    ledger.record(batch("idle", sharpe=(math.nan,)))
    ledger.record(batch_of("tune", [BTC], {}, "pruned", [0.04], trials=10))
    tried = ledger.tried([BTC])
    assert (tried.trials, tried.rated) == (13, 2)
    assert tried.mean == pytest.approx(0.03)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_changed_record_breaks_the_chain(tmp_path: Path, number: int) -> None:
    """Fewer trials than were made, written into any record, is seen."""
    ledger = TrialLedger(tmp_path)
    for content in "abc":
        ledger.record(batch(content))
    lines = ledger.path.read_text().splitlines()
    lines[number] = lines[number].replace('"trials": 2', '"trials": 1')
    ledger.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=f"record {number + 1} is not as it was written"):
        ledger.tried([BTC])


def test_a_record_taken_out_breaks_the_chain(tmp_path: Path) -> None:
    """A record that is gone from the middle is missed, also when the later ones are left as they were."""
    ledger = TrialLedger(tmp_path)
    for content in "abc":
        ledger.record(batch(content))
    lines = ledger.path.read_text().splitlines()
    ledger.path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    with pytest.raises(DataError, match="record 2"):
        ledger.head()


def test_a_record_with_a_digest_made_anew_still_breaks_the_chain(tmp_path: Path) -> None:
    """Whoever changes a record and its digest has to change every later one, and then no kept head fits."""
    ledger = TrialLedger(tmp_path)
    heads = [ledger.record(batch(content)) for content in "abc"]
    forged = TrialLedger(tmp_path / "forged")
    for content in "abc":
        forged.record(batch(content, sharpe=(0.5,)))
    ledger.path.write_bytes(forged.path.read_bytes())
    assert not any(ledger.holds(head) for head in heads)


def test_a_ledger_cut_off_at_its_end_shows_against_a_kept_head(tmp_path: Path) -> None:
    """The last records can be cut off without breaking the chain, but a head kept elsewhere is missed."""
    ledger = TrialLedger(tmp_path)
    first, last = ledger.record(batch("a")), ledger.record(batch("b"))
    assert ledger.holds(first)
    assert ledger.holds(last)
    ledger.path.write_text(ledger.path.read_text().splitlines()[0] + "\n")
    assert ledger.holds(first)
    assert not ledger.holds(last)


def test_block_sums_that_were_changed_are_refused(tmp_path: Path) -> None:
    """The file of block sums is held to the name that the record gives it."""
    ledger = TrialLedger(tmp_path)
    ledger.record(batch(), np.ones((2, 16)))
    (path,) = (tmp_path / "blocks").iterdir()
    np.save(path, np.zeros((2, 16)))
    with pytest.raises(DataError, match="not as it was written"):
        ledger.blocks("one")
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        ledger.blocks("one")


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three processes that record at once leave every batch of theirs, in one unbroken chain."""
    processes = [writer(tmp_path, name, 15) for name in "abc"]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    contents = [one.content for one in TrialLedger(tmp_path).batches()]
    assert sorted(contents) == sorted(f"{name}-{number}" for name in "abc" for number in range(15))


@pytest.mark.parametrize("lines", [1, 4, 9])
def test_a_killed_writer_loses_nothing_it_reported(tmp_path: Path, lines: int) -> None:
    """After a kill at any moment each reported record is there once, and the next writer goes on."""
    with writer(tmp_path, "a", 1000) as process:
        assert process.stdout is not None
        for _ in range(lines):
            said = process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    ledger = TrialLedger(tmp_path)
    contents = [one.content for one in ledger.batches()]
    assert contents == [f"a-{number}" for number in range(len(contents))]
    assert len(contents) > int(said)
    ledger.record(batch("after"))
    assert ledger.batches()[-1].content == "after"


def test_half_a_line_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    """What a killed writer left of its line counts for nothing and spoils nothing."""
    ledger = TrialLedger(tmp_path)
    ledger.record(batch("a"))
    with ledger.path.open("ab") as file:
        file.write(json.dumps({"sort": "batch"}).encode()[:7])
    assert len(ledger.batches()) == 1
    ledger.record(batch("b"))
    assert [one.content for one in ledger.batches()] == ["a", "b"]


def test_a_whole_record_that_lost_its_line_end_is_kept(tmp_path: Path) -> None:
    """As an editor or a copy may leave it: it is read, and the next writer goes on behind it, but no altered one."""
    ledger = TrialLedger(tmp_path)
    for name in "ab":
        ledger.record(batch(name))
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))
    assert [one.content for one in ledger.batches()] == ["a", "b"]
    ledger.record(batch("c"))
    assert [one.content for one in ledger.batches()] == ["a", "b", "c"]
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n").replace(b'"content": "c"', b'"content": "d"'))
    with pytest.raises(DataError, match="record 3 is not as it was written"):
        ledger.record(batch("e"))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (batch_of("sweep", [BTC], {}, "x", []), "holds no trial"),
        (batch_of("sweep", [], {}, "x", [0.1]), "holds no trial"),
        (batch("x", span=BTC._replace(last=99)), "end before they begin"),
        (batch_of("guess", [BTC], {}, "x", [0.1]), "is no kind of trials"),  # type: ignore[arg-type]
    ],
)
def test_a_batch_that_says_nothing_is_refused(tmp_path: Path, wrong: Batch, problem: str) -> None:
    """No trials, no contract, or a span that ends before it begins: one line, nothing written."""
    with pytest.raises(ParameterError, match=problem):
        TrialLedger(tmp_path).record(wrong)
    assert not (tmp_path / "trials.jsonl").exists()


def test_blocks_have_a_row_a_trial(tmp_path: Path) -> None:
    """Block sums of more trials than were made are refused."""
    with pytest.raises(ParameterError, match="a row a trial"):
        TrialLedger(tmp_path).record(batch(), np.ones((3, 16)))
    with pytest.raises(ParameterError, match="a row a trial"):
        TrialLedger(tmp_path).record(batch(), np.ones((3, 2, 16)))


def test_where_the_ledger_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$CROSSGATE_LEDGER comes before the user's data folder."""
    monkeypatch.delenv("CROSSGATE_LEDGER", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ledger_home() == tmp_path / "crossgate" / "trials"
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "team"))
    assert TrialLedger().folder == tmp_path / "team"
