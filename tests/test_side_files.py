"""Side files: what is copied into a run folder, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossgate.config import build_config
from crossgate.side_files import LARGEST, side_files


def series(**more: Any) -> dict[str, Any]:
    """A table of a series of scored text."""
    return {"name": "news", "time": "t", "published_after": "0m", "text": "words", "stale_after": "1d", **more}


@pytest.mark.parametrize("scorer", ["nowhere.at.all:tone", "nowhere:tone", "json.decoder:scanstring", "vader"])
def test_scorers_that_are_no_file_of_the_user_stay_named(scorer: str) -> None:
    """A module that is not there, or that is installed, is not copied, and raises nothing here."""
    record = side_files(build_config({"exogenous": series(file="news.csv", scorer=scorer)}))
    assert record.content == {}
    assert record.record == build_config({"exogenous": series(file="news.csv", scorer=scorer)}).record()


def test_equal_names_are_told_apart_and_large_files_stay(tmp_path: Path) -> None:
    """Two files of one name have two copies, one file named twice has one, and a large one keeps its path."""
    for name, content in (("a/x.csv", b"1"), ("b/x.csv", b"2"), ("big.csv", b"0" * (LARGEST + 1))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    named = ["a/x.csv", "b/x.csv", "a/x.csv", "big.csv"]
    tables = [series(file=str(tmp_path / file)) | {"name": f"s{row}"} for row, file in enumerate(named)]
    found = side_files(build_config({"exogenous": tables}))
    files = [table["file"] for table in found.record["exogenous"]]
    assert files == ["./inputs/x.csv", "./inputs/x-2.csv", "./inputs/x.csv", str(tmp_path / "big.csv")]
    assert found.content == {"inputs/x.csv": b"1", "inputs/x-2.csv": b"2"}
