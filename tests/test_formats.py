"""The formats of a report: Markdown, CSV, JSON, PDF and pictures, and spark lines."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_factory import make_market, make_result, make_trades

from backtests.run.result import Result
from crossgate.command_line import main
from foundation.spark import SPARKS, spark_line
from foundation.trials import TrialLedger
from reports.catalogue import CATALOGUE
from reports.document import Document, document_of
from reports.figures import picture_of
from reports.findings import find
from reports.fingerprints import altered_files
from reports.folder_document import document_of_folder
from reports.images import render_picture
from reports.markdown import write_markdown
from reports.parts import Grid, Grids, Paragraph, Part
from reports.pdf import Pages, write_pdf
from reports.report import write_report


def small_run(name: str = "a *starred* run") -> Result:
    """A run of 1,200 bars and 59 trades."""
    return make_result(make_market(bars=1200, synthetic=True), make_trades(1200, every=20), name=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, with its PDF."""
    return write_report(small_run(), tmp_path_factory.mktemp("run") / "one", baselines={}, pdf=True).parent


@pytest.fixture(scope="module")
def document() -> Document:
    """The document about the run."""
    return document_of(find(small_run(), {}, TrialLedger()))


def show(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of `crossgate show` with some words, and what it said on both outputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["crossgate", "show", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_format_is_shown(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text is printed, of a page and a PDF the path is; each goes to a file that is named."""
    shown = {kind: show(folder, "--format", kind, capsys=capsys)[1] for kind in ("html", "md", "json", "csv", "pdf")}
    assert shown["html"] == f"{folder / 'report.html'}\n"
    assert shown["pdf"] == f"{folder / 'report.pdf'}\n"
    assert shown["md"] == (folder / "report.md").read_text("utf-8")
    assert json.loads(shown["json"])["name"] == "a *starred* run"
    trades = pd.read_csv(io.StringIO(shown["csv"]), parse_dates=["opened", "closed"])
    pd.testing.assert_frame_equal(trades, pd.read_parquet(folder / "trades.parquet"), check_dtype=False)
    for kind in ("html", "md", "csv", "pdf"):
        assert show(folder, "--format", kind, "--out", tmp_path / kind, capsys=capsys)[0] == 0
    assert (tmp_path / "pdf").read_bytes() == (folder / "report.pdf").read_bytes()
    assert (tmp_path / "md").read_text("utf-8") == shown["md"]


def test_a_missing_file_and_a_folder_are_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run without its page says how to get one; a folder is no place for a file."""
    plain = write_report(small_run(), tmp_path / "plain", baselines={}).parent
    (plain / "report.html").unlink()
    code, _, error = show(plain, "--format", "html", capsys=capsys)
    assert code == 2
    assert error.count("\n") == 1
    assert "holds no report.html" in error
    assert f"crossgate backtest {plain / 'config.toml'} --out {plain}" in error
    code, _, error = show(folder, "--format", "md", "--out", tmp_path, capsys=capsys)
    assert (code, "is a folder" in error) == (2, True)


def test_a_pdf_is_made_from_any_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run written without one gets one from its tables, the same to the last byte; then it is there."""
    plain = write_report(small_run(), tmp_path / "plain", baselines={}).parent
    assert not (plain / "report.pdf").exists()
    assert show(plain, "--format", "pdf", capsys=capsys)[:2] == (0, f"{plain / 'report.pdf'}\n")
    first = (plain / "report.pdf").read_bytes()
    assert first.startswith(b"%PDF")
    assert write_pdf(document_of_folder(plain)) == first
    assert show(plain, "--format", "pdf", "--out", tmp_path / "a.pdf", capsys=capsys)[0] == 0
    assert (tmp_path / "a.pdf").read_bytes() == first


def test_no_other_file_is_given_as_the_pdf_of_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies in the place of a PDF is given only while the fingerprint of the run agrees; else one is made anew."""
    plain = write_report(small_run(), tmp_path / "plain", baselines={}).parent
    fresh = write_pdf(document_of_folder(plain))
    (plain / "report.pdf").write_bytes(b"junk")
    assert show(plain, "--format", "pdf", "--out", tmp_path / "a.pdf", capsys=capsys)[0] == 0
    assert (tmp_path / "a.pdf").read_bytes() == fresh
    assert (plain / "report.pdf").read_bytes() == b"junk"
    assert show(plain, "--format", "pdf", capsys=capsys)[:2] == (0, f"{plain / 'report.pdf'}\n")
    assert (plain / "report.pdf").read_bytes() == fresh
    long = shutil.copytree(folder, tmp_path / "long")
    (long / "report.pdf").write_bytes((long / "report.pdf").read_bytes() + b" ")
    assert altered_files(long) == ("report.pdf",)
    code, _, error = show(long, "--format", "pdf", "--out", tmp_path / "b.pdf", capsys=capsys)
    assert (code, error.count("\n")) == (0, 1)
    assert "report.pdf: altered after it was written" in error
    assert (tmp_path / "b.pdf").read_bytes() == write_pdf(document_of_folder(long))


def test_a_folder_says_what_was_written_of_it(folder: Path, document: Document) -> None:
    """Headlines, verdict and sections that rest on the folder alone are those of the report."""
    found = document_of_folder(folder)
    assert (found.title, found.badge, found.lead) == (document.title, document.badge, document.lead)
    assert found.tiles == document.tiles
    assert found.banners[0] == document.banners[0]
    assert repr(found.top) == repr(document.top)
    whole = {one.anchor: one for one in document.sections}
    for section in found.sections:
        if section.anchor in ("metrics", "certainty"):
            ours, theirs = (
                [part for part in one.parts if isinstance(part, Grid | Grids)]
                for one in (section, whole[section.anchor])
            )
            assert repr(ours) == repr(theirs)
    assert write_markdown(found).count("## ") >= 6


def test_a_damaged_folder_makes_no_pdf(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the folder, and nothing half-written."""
    bad = shutil.copytree(folder, tmp_path / "bad")
    (bad / "report.pdf").unlink()
    (bad / "trials.json").write_text("{}", "utf-8")
    code, _, error = show(bad, "--format", "pdf", capsys=capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "is damaged (KeyError)" in error
    assert not (bad / "report.pdf").exists()


def test_wide_words_are_folded_and_not_cut() -> None:
    """A table whose reasons are longer than the page keeps its type size and takes more lines; none leaves the page."""
    drawn: list[tuple[float, str, float]] = []
    pages = Pages("wide")
    honest = pages._text

    def noted(x: float, text: str, size: float, *rest: Any, **more: Any) -> None:
        drawn.append((x, text, size))
        honest(x, text, size, *rest, **more)

    pages._text = noted  # type: ignore[method-assign]
    words = "a reason that is very long " * 20
    pages.table("Why", ["Rung", "", "Why"], [["1", "climbed", words.strip()]], frozenset({0, 1, 2}))
    folded = [text for _, text, _ in drawn if "reason" in text]
    assert " ".join(folded) == words.strip()
    assert len(folded) > 3
    assert {size for _, text, size in drawn if "reason" in text} == {7.5}
    assert all(x + pages._width(text, size) <= 595.0 for x, text, size in drawn)


def test_markdown_asks_for_no_press_and_says_what_metrics_mean(folder: Path) -> None:
    """Each metric has its definition beside it, the equity curve is shown from its file, nothing is to be pressed."""
    text = (folder / "report.md").read_text("utf-8")
    assert "Press " not in text
    for entry in (CATALOGUE["sortino"], CATALOGUE["tail_ratio"], CATALOGUE["exposure"]):
        assert re.search(rf"\| {re.escape(entry.label)} \| [^|]+ \| {re.escape(entry.meaning)} \|", text), entry.label
    (link,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (folder / link).read_bytes().startswith(b"\x89PNG")
    assert "Press a name for what it means." in (folder / "report.html").read_text("utf-8")


def test_equal_runs_give_equal_bytes(document: Document) -> None:
    """The PDF, the Markdown and the SVG of the same run, found twice, are the same to the last byte."""
    again = find(small_run(), {}, TrialLedger())
    one, two = (write_pdf(each) for each in (document, document_of(again)))
    assert one == two
    assert b"CreationDate" not in one
    assert write_markdown(document) == write_markdown(document_of(again))
    pictures = [render_picture(picture_of(again.result, again.curves)) for _ in range(2)]
    assert pictures[0] == pictures[1]
    ElementTree.fromstring(pictures[0])
    assert write_markdown(replace(document, lead="another")) != write_markdown(document)


def test_the_markdown_says_what_the_page_says(folder: Path) -> None:
    """Each section and each caption of the page stands in the Markdown, and every row has as many cells as its head."""
    text, page = (folder / "report.md").read_text("utf-8"), (folder / "report.html").read_text("utf-8")
    for title in re.findall(r"<h2>([^<]+)</h2>", page):
        assert f"## {title}" in text
    for caption in re.findall(r"<caption>([^<]+)</caption>", page):
        assert html.unescape(caption) in text or caption.startswith("Press a row")
    assert text.startswith("# a \\*starred\\* run (synthetic market)\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 100
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_nothing_is_drawn_beside_the_page(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text of the PDF begins and ends inside its page, and none is lower than the foot."""
    spans: list[tuple[float, float, float]] = []
    real = Pages._text

    def noted(self: Pages, x: float, text: str, size: float, *rest: str, **named: object) -> None:
        width = self._width(text, size)
        left = x - width if named.get("align") == "right" else x
        height = named.get("y")
        spans.append((left, left + width, self.y if height is None else float(str(height))))
        real(self, x, text, size, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Pages, "_text", noted)
    write_pdf(document)
    left, right, height = np.array(spans).T
    assert len(spans) > 300
    assert (left >= 40.0).all()
    assert (right <= 595.0 - 30.0).all()
    assert (height >= 20.0).all()


def test_a_part_that_no_format_knows_is_an_error(document: Document) -> None:
    """A new kind of part is not left out in silence."""

    class Riddle(Part):
        part = "riddle"

    for write in (write_markdown, write_pdf):
        with pytest.raises(TypeError, match="riddle"):
            write(replace(document, top=[Paragraph("said"), Riddle()]))


@given(st.lists(st.floats(-1e9, 1e9), max_size=300), st.integers(1, 80))
def test_a_spark_line_has_a_bar_a_stretch(values: list[float], width: int) -> None:
    """At most `width` bars, as many as values where there are fewer; the lowest stretch is lowest."""
    line = spark_line(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(SPARKS)
    if 1 < len(values) <= width and max(values) - min(values) > 1.0:
        assert line[values.index(min(values))] == SPARKS[0]
        assert line[values.index(max(values))] == SPARKS[-1]
