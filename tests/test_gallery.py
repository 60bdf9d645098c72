"""The gallery: what its command wrote, for every shipped config."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

TREE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The module behind `make gallery`."""
    spec = importlib.util.spec_from_file_location("gallery", TREE / "benchmarks" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_gallery_shows_every_config(maker: ModuleType) -> None:
    """Each shipped config has its figures, its verdict and its picture there."""
    records = json.loads(maker.RECORDS.read_text("utf-8"))
    assert set(records) == {path.stem for path in maker.CONFIGS.glob("*.toml")}
    for stem, one in records.items():
        assert (maker.IMAGES / f"{stem}.png").is_file()
        assert 1 <= one["rung"] <= 9
        assert set(one["metrics"]) == set(maker.SHOWN)


def test_the_page_is_the_one_that_the_command_writes(maker: ModuleType) -> None:
    """docs/gallery.md is made from the records, never by hand, and its links lead to its headings."""
    records = json.loads(maker.RECORDS.read_text("utf-8"))
    text = (maker.DOCS / "gallery.md").read_text("utf-8")
    assert text == maker.gallery(records)
    heads, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    for row, one in zip(rows, dict(sorted(records.items())).values(), strict=True):
        told = dict(zip(heads, row, strict=True))
        for name, value in one["metrics"].items():
            assert told[maker.CATALOGUE[name].label] == value
    headings = {maker.anchor(title) for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
