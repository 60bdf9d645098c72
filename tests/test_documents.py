"""The documents: their examples run, their configs are valid, their commands exist and their links lead somewhere."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from backtests.run.tables import Tables
from backtests.searches.goals import read_goals
from backtests.searches.grids import Grid, read_axis
from backtests.searches.space import read_over, read_space
from crossgate.command_line import app
from crossgate.config import Config, build_config, load_config
from foundation.errors import CrossgateError, ParameterError
from models import features
from models.features import known_kinds, parse_column
from models.search_parameters import SearchParams, read_model_space

TREE = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("benchmarks/*.md")])
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A line of a block, or a piece of a sentence; the arrow of the imports is no command.
_COMMAND = re.compile(r"^ *(crossgate (?!->)[a-z].*)$|`(crossgate (?!->)[^`]*)`", re.MULTILINE)
_ROOMS = "backtests|benchmarks|crossgate|docs|foundation|markets|models|reports|strategies|tests|witness"
_FILE = re.compile(rf"`((?:{_ROOMS})/[\w/.-]+)`")
_NAME = re.compile(r"`((?:cg|backtests|crossgate|foundation|markets|models|reports|strategies|witness)(?:\.\w+)+)")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMANDS: Any = get_command(app)
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


def commands() -> list[Example]:
    """Each command line of crossgate in the documents: in blocks, on lines set in, and in sentences."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8").replace("\\\n", " ")
        document = path.relative_to(TREE).as_posix()
        for match in _COMMAND.finditer(text):
            line = re.sub(r"\s+#.*", "", next(filter(None, match.groups())))
            found.append(Example(document, text.count("\n", 0, match.start()) + 1, " ".join(line.split())))
    return list({(one.document, one.text): one for one in found}.values())


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


@pytest.mark.parametrize("command", commands(), ids=lambda one: f"{one.document}:{one.text[:50]}")
def test_a_command_in_a_document_is_one(command: Example) -> None:
    """Each command line names a command, options that it has, configs that are there, and values that it takes."""
    check_command(command)


@pytest.mark.parametrize(
    "text",
    [
        "crossgate shoe runs/first",
        "crossgate data carry FILE",
        "crossgate show runs/first --as md",
        "crossgate check backtests/configs/missing.toml",
        "crossgate check backtests/configs/demo.toml --set risk.stop=2%",
        "crossgate sweep backtests/configs/demo.toml --grid risk.stop=1%:5%:9",
        "crossgate tune backtests/configs/demo.toml --over risk.leverage=3:1",
        "crossgate tune backtests/configs/demo.toml --constraint luck>=1",
        "crossgate tune-model backtests/configs/demo.toml --space model.output=mean",
    ],
)
def test_a_wrong_command_is_seen(text: str) -> None:
    """A command, option, config, key or value that is not there does not pass for one."""
    with pytest.raises((AssertionError, CrossgateError)):
        check_command(Example("README.md", 1, text))


def check_command(command: Example) -> None:
    """Raises AssertionError or CrossgateError for a command line that cannot be run as it stands."""
    words = shlex.split(command.text)[1:]
    known: Any = COMMANDS
    while words and hasattr(known, "commands") and not words[0].startswith("-"):
        assert words[0] in known.commands, words[0]
        known = known.commands[words.pop(0)]
    offered = {name for option in known.params for name in option.opts} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word in offered, word
        elif word.endswith(".toml"):
            told = f"Save this as `{word}`" in (TREE / command.document).read_text("utf-8")
            assert told or (TREE / word).is_file(), word
    given: dict[str, list[str]] = {}
    for name, value in pairwise(words):
        given.setdefault(name, []).append(value)
    check_values(next((TREE / word for word in words if (TREE / word).is_file()), None), given)


def check_values(config: Path | None, given: Mapping[str, list[str]]) -> None:
    """Raises an error for a value of an option that the command would refuse."""
    played = Config()
    if config is not None and config.suffix == ".toml":
        played = load_config(config, [text for text in given.get("--set", []) if "=PATH" not in text])
    if "--grid" in given:
        tables = Tables(played.rules, played.risk, played.account, played.costs)
        Grid(tables, dict(map(read_axis, given["--grid"])))
    if "--over" in given:
        read_space(read_over(given["--over"]))
    if "--space" in given:
        SearchParams(space=read_model_space(given["--space"]))
    read_goals(given.get("--objective", ["sharpe"]), given.get("--constraint", []))


def test_the_table_of_features_names_each_with_its_defaults() -> None:
    """docs/features.md has a row for every feature of the project, with the numbers that may be left out."""
    text = (TREE / "docs" / "features.md").read_text("utf-8")
    told = {}
    for names, defaults in re.findall(r"^\| (`[a-z].*?) \|.*\| ([\d, ]*)\|$", text, re.MULTILINE):
        for name in re.findall(r"`([a-z_]+)", names):
            told[name] = tuple(int(number) for number in defaults.split(",") if number.strip())
    known_kinds()
    ours = [name for name, kind in features._KINDS.items() if kind.compute.__module__ == "models.indicators"]
    assert told == {name: default_periods(name) for name in ours}


def default_periods(name: str) -> tuple[int, ...]:
    """The periods of a feature that names none; none where it has to."""
    try:
        return parse_column(name).periods
    except ParameterError:
        return ()


def test_the_page_of_settings_is_what_its_command_makes() -> None:
    """docs/settings.md has every table and key of a config, as the parameters themselves say them."""
    page = runpy.run_path(str(TREE / "benchmarks" / "settings_page.py"))["make_page"]()
    assert (TREE / "docs" / "settings.md").read_text("utf-8") == page, "benchmarks/settings_page.py --write"
    headings = set(re.findall(r"^## \[+(\w+)", page, re.MULTILINE))
    assert headings == {table.name for table in fields(Config)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(TREE).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of the repository has one at its end."""
    for target in _LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(TREE).as_posix())
def test_rows_of_a_table_have_as_many_cells_as_its_head(path: Path) -> None:
    """No cell is missing, and none was split by a stroke."""
    head = 0
    for line in path.read_text("utf-8").splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert head == 0 or cells in (0, head), line
        head = cells


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(TREE).as_posix())
def test_files_and_names_that_a_document_speaks_of_are_there(path: Path) -> None:
    """A file named by its path from the root exists, and a dotted name can be reached; NAME stands for any."""
    text = path.read_text("utf-8")
    assert [name for name in _FILE.findall(text) if "NAME" not in name and not (TREE / name).exists()] == []
    assert [name for name in _NAME.findall(text) if not reaches(name.replace("cg.", "crossgate.", 1))] == []


def reaches(name: str) -> bool:
    """Whether a dotted name leads to something: a module, or what stands in one."""
    module, _, rest = name.partition(".")
    found: Any = importlib.import_module(module)
    for part in rest.split("."):
        try:
            found = getattr(found, part) if hasattr(found, part) else importlib.import_module(f"{module}.{part}")
        except ImportError:
            return False
        module = f"{module}.{part}"
    return True


def test_a_name_that_is_not_there_is_seen() -> None:
    """What was renamed is not reached under its old name; what is there is."""
    assert reaches("backtests.run.engine.backtest")
    assert reaches("crossgate.tune_model")
    assert not reaches("backtests.run.engine.backtests")
    assert not reaches("backtests.machine")


def test_the_change_log_says_each_thing_once() -> None:
    """No two points begin alike, as they do where a merge has kept an old text beside a new one."""
    points = re.findall(r"^- (.{30})", (TREE / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert [point for point in set(points) if points.count(point) > 1] == []


def test_commands_of_make_are_those_that_documents_name() -> None:
    """A `make` command in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (TREE / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        for name in re.findall(r"^    make ([a-z]+)|`make ([a-z]+)`", path.read_text("utf-8"), re.MULTILINE):
            assert "".join(name) in targets, (path.name, name)


def test_constraints_pin_every_dependency() -> None:
    """Every library in setup.cfg has one exact version in constraints.txt, inside its range, and a word on its page."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {}
    for line in (TREE / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert "+" not in version, line
            pins[canonicalize_name(name)] = version
    told = (TREE / "docs" / "dependencies.md").read_text("utf-8").lower()
    for text in requires("crossgate") or []:
        needed = Requirement(text)
        if canonicalize_name(needed.name) != "crossgate":
            assert needed.name.lower() in told, text
            assert needed.specifier.contains(pins[canonicalize_name(needed.name)]), text
