"""The documents: their examples run, their configs are valid, their commands exist and their links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from crossgate.config import build_config

TREE = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md")])
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
# What turns the two years of an example into two months, so that it runs in a moment.
SMALLER = {"cg.demo_market()": "cg.demo_market(bars=2000)", 'train="270d", test="90d"': 'train="60d", test="20d"'}


class Example(NamedTuple):
    """A fenced block of a document, and the line on which it starts."""

    document: str
    line: int
    text: str


def examples(language: str) -> list[Example]:
    """All blocks of a language in all documents."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Example(path.relative_to(TREE).as_posix(), line, match[2]))
    return found


def named(example: Example) -> str:
    """The document and line of an example."""
    return f"{example.document}:{example.line}"


@pytest.mark.parametrize("example", examples("python"), ids=named)
def test_an_example_runs(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python example runs as it stands, only on a shorter market."""
    monkeypatch.chdir(tmp_path)
    source = example.text
    for long, short in SMALLER.items():
        source = source.replace(long, short)
    assert source != example.text, "the example would run on two years of bars"
    (tmp_path / "example.py").write_text(source, "utf-8")
    runpy.run_path("example.py", run_name="example")
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "example.py"}


def test_the_first_example_has_ten_lines_and_writes_a_report() -> None:
    """The README opens with the main job in ten lines of code at most."""
    first = next(example for example in examples("python") if example.document == "README.md")
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 10
    assert "cg.backtest(" in first.text
    assert "cg.write_report(" in first.text


@pytest.mark.parametrize("example", examples("toml"), ids=named)
def test_an_example_of_a_config_is_valid(example: Example) -> None:
    """Every TOML example is a config, or a part of one."""
    build_config(tomllib.loads(example.text))


@pytest.mark.parametrize("example", examples("console"), ids=named)
def test_a_command_in_a_document_exists(example: Example) -> None:
    """Every command line names a command, options that it has, and configs that are there."""
    for line in example.text.replace("\\\n", " ").splitlines():
        program, command, *words = shlex.split(line)
        assert program == "crossgate"
        commands = [command, words.pop(0)] if command == "data" else [command]
        answer = [sys.executable, "-m", "crossgate", *commands, "--help"]
        offered = subprocess.run(answer, capture_output=True, text=True, check=True).stdout
        for word in words:
            if word.startswith("--"):
                assert re.search(rf"^\s+{word}\b", offered, re.MULTILINE), word
            elif word.endswith(".toml"):
                told = f"Save this as `{word}`" in (TREE / example.document).read_text("utf-8")
                assert told or (TREE / word).is_file(), word


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(TREE).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of the repository has one at its end."""
    for target in _LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


def test_commands_of_make_are_those_that_documents_name() -> None:
    """A `make` command in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (TREE / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        for name in re.findall(r"^    make ([a-z]+)|`make ([a-z]+)`", path.read_text("utf-8"), re.MULTILINE):
            assert "".join(name) in targets, (path.name, name)


def test_constraints_pin_every_dependency() -> None:
    """Every library in setup.cfg has one exact version in constraints.txt, inside its range."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {}
    for line in (TREE / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert "+" not in version, line
            pins[canonicalize_name(name)] = version
    for text in requires("crossgate") or []:
        needed = Requirement(text)
        if canonicalize_name(needed.name) != "crossgate":
            assert needed.specifier.contains(pins[canonicalize_name(needed.name)]), text
