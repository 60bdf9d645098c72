"""Trial ledger: every setting that was tried on a stretch of data, so that the best one is judged by all of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from foundation.chain import Chain, Head
from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file
from foundation.fingerprint import fingerprint
from foundation.locks import sole_writer

FloatArray = npt.NDArray[np.float64]
Kind = Literal["backtest", "sweep", "tune", "model search"]
KINDS: tuple[Kind, ...] = ("backtest", "sweep", "tune", "model search")
FIX = "put back a copy of the ledger; what was tried before it cannot be told any more"


# Contracts of the registry under the name that their data is fetched by: trials of both are trials of one.
SAME_CONTRACT = {"bybit:BTCUSDT": "bybit_linear:BTCUSDT", "bybit:BTCUSD": "bybit_inverse:BTCUSD"}


class Span(NamedTuple):
    """A stretch of one contract, venue:symbol: its first and its last moment, UTC nanoseconds.

    The last moment is that before the close of the last bar: a long bar reaches further than its open says.
    """

    contract: str
    first: int
    last: int

    @classmethod
    def of_bars(cls, contract: str, first: int, last: int, bar: int) -> Span:
        """The stretch from the open of one bar to the close of another; `bar`: the length of a bar."""
        return cls(contract, int(first), int(last) + int(bar) - 1)

    @classmethod
    def read(cls, kept: Sequence[Any]) -> Span:
        """The stretch that a record holds, its contract by the name that data is fetched by."""
        contract, first, last = kept
        return cls(SAME_CONTRACT.get(contract, contract), first, last)

    def overlaps(self, other: Span) -> bool:
        """Whether both are of one contract and share a moment."""
        return self.contract == other.contract and self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Batch:
    """Trials that were made together: settings played, or models trained, over some spans.

    `grid`: what was varied, as JSON can hold it. `content`: the fingerprint of everything that the
    trials depend on; equal content is the same batch made again, and counts once. `trials`: how many there
    were. `mean`, `variance` (of the population), `best`: of their Sharpe ratios per bar, not annualised,
    over the trials that have one (`rated`); NaN where none has.
    """

    kind: Kind
    spans: tuple[Span, ...]
    grid: Mapping[str, Any]
    content: str
    trials: int
    rated: int
    mean: float
    variance: float
    best: float


@dataclass(frozen=True)
class Tried:
    """All that was tried on some spans: the trials of every batch that shares a contract and a moment with them.

    `trials`, `rated`, `mean`, `variance`, `best`: as in Batch, pooled over the `batches`.
    """

    trials: int
    rated: int
    mean: float
    variance: float
    best: float
    batches: tuple[Batch, ...]


def batch_of(
    kind: Kind, spans: Sequence[Span], grid: Mapping[str, Any], content: str, sharpe: npt.ArrayLike, trials: int = 0
) -> Batch:
    """A batch with the moments of its trials' Sharpe ratios (per bar); those that are not finite are not rated.

    `trials`: how many were made where `sharpe` does not hold one value each, such as a search that pruned.
    """
    ratios = np.asarray(sharpe, dtype=np.float64).ravel()
    rated = ratios[np.isfinite(ratios)]
    some = len(rated) > 0
    return Batch(
        kind,
        tuple(spans),
        grid,
        content,
        max(trials, len(ratios)),
        len(rated),
        float(rated.mean()) if some else math.nan,
        float(rated.var()) if some else math.nan,
        float(rated.max()) if some else math.nan,
    )


class Writer(Protocol):
    """What writes a record, of a sort and what it holds, behind all others."""

    def __call__(self, sort: str, body: Mapping[str, Any], blocks: str = "") -> Head:
        """The head after it."""


class TrialLedger:
    """The ledger in a folder: a file of records, each chained to the one before by its digest.

    `folder`: else `$CROSSGATE_LEDGER`, else the user's data folder, where no `rm -r runs` reaches it. Writers
    take turns, readers wait for nobody, and a writer that is killed leaves the records as they were.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = ledger_home() if folder is None else folder.expanduser()
        self.path = self.folder / "trials.jsonl"
        self._chain = Chain(self.path, FIX)

    def record(self, batch: Batch, blocks: FloatArray | None = None) -> Head:
        """The head after a batch is written; a batch that the ledger holds already changes nothing.

        `blocks`: sums of returns and of their squares per trial and block of time, shape (trials, 2, blocks), or of
        returns alone, shape (trials, blocks), kept in a file of their own. Raises ParameterError for a batch that says
        nothing, DataError for a broken ledger.
        """
        _check(batch, blocks)
        body = _plain(batch)
        with self.turn() as write:
            if any(_says(one, body) for one in self.bodies("batch")):
                return self.head()
            return write("batch", body, "" if blocks is None else self._write_blocks(blocks))

    def batches(self) -> list[Batch]:
        """The batches in the order they were written; raises DataError for a broken ledger.

        A batch that was put down before it was played, and again when it was rated, is one: that which is rated.
        """
        found: dict[tuple[Any, ...], Batch] = {}
        for one in map(_batch, self.bodies("batch")):
            found[one.kind, one.content, one.trials] = one
        return list(found.values())

    def tried(self, spans: Iterable[Span]) -> Tried:
        """Everything that was tried on the contracts and times of some spans, however little they overlap.

        One more bar, or another start, is the same data to a trial: it is not new evidence.
        """
        asked = list(spans)
        found = [one for one in self.batches() if any(a.overlaps(b) for a in asked for b in one.spans)]
        return _pooled(found)

    def blocks(self, content: str) -> FloatArray | None:
        """The block sums of the batch with a content, as `record` takes them; None where it kept none.

        Raises DataError where the file is missing or is not the one that was recorded.
        """
        for line in self._chain.records():
            if line["body"].get("content") == content and line["blocks"]:
                return self._read_blocks(line["blocks"])
        return None

    def head(self) -> Head:
        """Where the ledger ends now; raises DataError for a broken ledger."""
        return self._chain.head()

    def holds(self, head: Head) -> bool:
        """Whether the ledger still has every record up to a head that was kept elsewhere, unchanged."""
        return self._chain.holds(head)

    def bodies(self, sort: str) -> list[dict[str, Any]]:
        """What the records of one sort hold, in their order; raises DataError for a broken ledger."""
        return [line["body"] for line in self._chain.records() if line["sort"] == sort]

    @contextmanager
    def turn(self) -> Iterator[Writer]:
        """The right to write, and what writes: what is read within the block stays true until its end.

        For records that rest on those before them, such as the opening of a seal.
        """
        with sole_writer(self.folder / "trials.lock", "recording trials"):
            self._chain.mend()
            yield self._write

    def append(self, sort: str, body: Mapping[str, Any]) -> Head:
        """The head after a record of another sort than a batch, such as a seal, is written."""
        with self.turn() as write:
            return write(sort, body)

    def _write(self, sort: str, body: Mapping[str, Any], blocks: str = "") -> Head:
        return self._chain.append({"sort": sort, "body": dict(body), "blocks": blocks})

    def _write_blocks(self, blocks: FloatArray) -> str:
        name = fingerprint(blocks)
        path = self.folder / "blocks" / f"{name}.npy"
        if not path.exists():
            with atomic_file(path) as scratch, scratch.open("wb") as file:
                np.save(file, blocks, allow_pickle=False)
        return name

    def _read_blocks(self, name: str) -> FloatArray:
        path = self.folder / "blocks" / f"{name}.npy"
        try:
            blocks: FloatArray = np.load(path, allow_pickle=False)
        except (OSError, ValueError):
            raise DataError(path, "cannot be read", fix="put back a copy of the ledger's folder") from None
        if fingerprint(blocks) != name:
            raise DataError(path, "is not as it was written", fix="put back a copy of the ledger's folder")
        return blocks


def as_ledger(given: TrialLedger | Path | str | None) -> TrialLedger:
    """The ledger that was handed in, that in a folder, or the one of `ledger_home`; raises ParameterError else."""
    if isinstance(given, TrialLedger):
        return given
    if given is not None and not isinstance(given, Path | str):
        raise ParameterError("ledger", "should be a TrialLedger, or the folder of one", value=given)
    return TrialLedger(None if given is None else Path(given))


def ledger_home() -> Path:
    """The folder of the ledger: `$CROSSGATE_LEDGER`, else the user's data folder."""
    named = os.environ.get("CROSSGATE_LEDGER")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "crossgate" / "trials"


def _says(held: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a batch that is held says all that another does; one that is rated says more than one that is not."""
    return all(held[name] == body[name] for name in ("kind", "content", "trials")) and held["rated"] >= body["rated"]


def _check(batch: Batch, blocks: FloatArray | None) -> None:
    if batch.kind not in KINDS:
        raise ParameterError("kind", "is no kind of trials", value=batch.kind, fix=f"one of {', '.join(KINDS)}")
    if batch.trials < 1 or not batch.spans:
        raise ParameterError("batch", "holds no trial on any contract", value=batch.trials)
    if any(span.first > span.last for span in batch.spans):
        raise ParameterError("batch.spans", "end before they begin", value=batch.spans)
    if blocks is not None and (blocks.ndim not in (2, 3) or len(blocks) > batch.trials):
        raise ParameterError("blocks", f"should have a row a trial, {batch.trials} at most", value=blocks.shape)


def _plain(batch: Batch) -> dict[str, Any]:
    """A batch as JSON can hold it: moments that are not known are null."""
    plain = {**asdict(batch), "spans": [list(span) for span in batch.spans], "grid": dict(batch.grid)}
    for name in ("mean", "variance", "best"):
        plain[name] = plain[name] if math.isfinite(plain[name]) else None
    return plain


def _batch(body: Mapping[str, Any]) -> Batch:
    known = {name: math.nan if body[name] is None else body[name] for name in ("mean", "variance", "best")}
    return Batch(**{**body, **known, "spans": tuple(map(Span.read, body["spans"]))})


def _pooled(batches: Sequence[Batch]) -> Tried:
    """The moments of all trials together: within each batch, and between their means."""
    trials = sum(one.trials for one in batches)
    rated = [one for one in batches if one.rated]
    count = sum(one.rated for one in rated)
    if not count:
        return Tried(trials, 0, math.nan, math.nan, math.nan, tuple(batches))
    mean = sum(one.rated * one.mean for one in rated) / count
    variance = sum(one.rated * (one.variance + (one.mean - mean) ** 2) for one in rated) / count
    return Tried(trials, count, mean, variance, max(one.best for one in rated), tuple(batches))
