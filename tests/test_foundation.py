"""The foundation: errors, parameters, units, files, fingerprints and lazy names."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

import foundation.fingerprint
import markets
import models
import strategies
from foundation.errors import CrossgateError, DataError, ParameterError, suggestion
from foundation.files import atomic_file, atomic_folder, cache_home
from foundation.fingerprint import fingerprint, source_fingerprint, tree_fingerprint
from foundation.lazy import lazy_exports
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity, nanoseconds, parse_quantity

TREE = Path(__file__).resolve().parent.parent


class Engine(Parameters):
    """A table of parameters for the tests."""

    table: ClassVar[str] = "engine"

    speed: float = Field(1.0, gt=0, le=10, description="a number above 0, at most 10")
    gears: int = Field(5, ge=1, description="a whole number from 1")
    name: str = Field(description="a word")
    stop: Annotated[Quantity | None, Measured(("%", "atr"), off=True)] = Field(
        None, description='such as "2%", or "off"'
    )


def test_an_error_is_one_line() -> None:
    """Line breaks in a message become blanks, so that it fits a log line."""
    assert str(CrossgateError("one\n  two")) == "one two"


def test_a_parameter_error_reads_key_value_problem_fix() -> None:
    """Key, value, problem, fix, in this order; the key is kept for programs; long values are cut."""
    error = ParameterError("risk.leverage", "is too high", value=500, fix="at most 125")
    assert str(error) == "risk.leverage = 500: is too high; at most 125"
    assert error.key == "risk.leverage"
    assert str(ParameterError("a", "is missing")) == "a: is missing"
    assert len(str(ParameterError("a", "is long", value="x" * 500))) < 100


def test_a_data_error_reads_where_problem_fix() -> None:
    """The file comes first, then the problem and the fix."""
    assert str(DataError(Path("x.parquet"), "is empty", fix="fetch it")) == "x.parquet: is empty; fetch it"


@pytest.mark.parametrize(
    "error",
    [CrossgateError("a b"), DataError("x", "is empty", fix="fetch it"), ParameterError("k", "is wrong", value=1)],
)
def test_an_error_survives_the_way_from_a_worker(error: CrossgateError) -> None:
    """Packed and unpacked, an error keeps its class, its text and its key."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_a_suggestion_is_the_nearest_word_or_all_of_them() -> None:
    """A typo gets one suggestion, a strange word the list."""
    assert suggestion("levrage", ["leverage", "cash"]) == 'did you mean "leverage"?'
    assert suggestion("zzz", ["leverage", "cash"]) == "known: cash, leverage"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": "a", "sped": 2.0}, 'engine.sped = 2.0: is not a known key; did you mean "speed"?'),
        ({}, "engine.name: is missing; a word"),
        (
            {"name": "a", "speed": 20.0},
            "engine.speed = 20.0: should be less than or equal to 10; a number above 0, at most 10",
        ),
        ({"name": "a", "speed": 0.0}, "engine.speed = 0.0: should be greater than 0; a number above 0, at most 10"),
        ({"name": "a", "speed": "2"}, "engine.speed = '2': should be a valid number; a number above 0, at most 10"),
        (
            {"name": "a", "speed": float("nan")},
            "engine.speed = nan: should be a finite number; a number above 0, at most 10",
        ),
        ({"name": "a", "gears": 2.5}, "engine.gears = 2.5: should be a valid integer; a whole number from 1"),
        ({"name": "a", "gears": True}, "engine.gears = True: should be a valid integer; a whole number from 1"),
        ({"name": 7}, "engine.name = 7: should be a valid string; a word"),
        (
            {"name": "a", "stop": "2"},
            'engine.stop = \'2\': should be a number with a unit, such as "2%" or "2atr"; such as "2%", or "off"',
        ),
        (
            {"name": "a", "stop": "0%"},
            'engine.stop = \'0%\': should be above zero, such as "2%" or "2atr"; such as "2%", or "off"',
        ),
    ],
)
def test_a_wrong_parameter_is_explained_in_one_line(values: dict[str, Any], text: str) -> None:
    """An unknown key, a missing one, a wrong type, unit or range: key, value, problem and what may be written."""
    with pytest.raises(ParameterError) as caught:
        Engine(**values)
    assert str(caught.value) == text


def test_parameters_never_change_but_can_be_replaced() -> None:
    """A table is frozen; a changed copy is checked again."""
    engine = Engine(name="a", stop="2%")
    with pytest.raises(Exception, match="frozen"):
        engine.speed = 2.0  # type: ignore[misc]
    assert engine.replaced(speed=2.0).speed == 2.0
    assert engine.replaced(speed=2.0).stop == Quantity(2.0, "%")
    with pytest.raises(ParameterError, match=r"engine\.speed"):
        engine.replaced(speed=-1.0)


def test_parameters_survive_their_written_form() -> None:
    """Written out as plain values and read back, a table is the same; quantities are written as people write them."""
    engine = Engine(name="a", stop="1.5atr")
    assert engine.model_dump(mode="json")["stop"] == "1.5atr"
    assert Engine(**engine.model_dump(mode="json")) == engine
    assert Engine(**Engine(name="a").model_dump(mode="json")).stop is None


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("2%", (2.0, "%")),
        ("1.5atr", (1.5, "atr")),
        (" 3 % ", (3.0, "%")),
        ("1e-3%", (0.001, "%")),
        (Quantity(2.0, "%"), (2.0, "%")),
    ],
)
def test_quantities_are_read_as_people_write_them(text: Any, quantity: tuple[float, str]) -> None:
    """A number and a unit, with or without blanks; a quantity already read stays what it is."""
    assert parse_quantity(text, ("%", "atr")) == quantity


@pytest.mark.parametrize("text", ["2", "%", "2 percent", "-2%", "2%%", "", None, 2.0, "nan%", "inf%", "0%"])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    """A number without a unit, a unit without a number, a wrong unit, and zero or less are refused."""
    with pytest.raises(ValueError, match='such as "2%" or "2atr"'):
        parse_quantity(text, ("%", "atr"))


def test_zero_is_a_quantity_where_it_is_allowed() -> None:
    """A threshold of nothing is legal, a stop at nothing is not."""
    assert parse_quantity("0%", ("%",), positive=False) == (0.0, "%")


def test_a_quantity_is_written_as_it_is_read() -> None:
    """Text and quantity turn into each other without loss."""
    for text in ("2%", "1.5atr", "0.1%", "1e-05%"):
        assert str(parse_quantity(text, ("%", "atr"))) == text


def test_durations_are_nanoseconds() -> None:
    """Minutes, hours, days and weeks have their length; other units are refused."""
    assert [nanoseconds(text) for text in ("1m", "1h", "1d", "2w", "0.5h")] == [
        60 * 10**9,
        3600 * 10**9,
        86_400 * 10**9,
        14 * 86_400 * 10**9,
        1800 * 10**9,
    ]
    with pytest.raises(ValueError, match='"2m" or "2h"'):
        nanoseconds("3y")


def test_a_file_appears_whole(tmp_path: Path) -> None:
    """The target has its old content until the block ends, then the new; nothing else is left in the folder."""
    target = tmp_path / "deep" / "result.json"
    for text in ("first", "second"):
        with atomic_file(target) as scratch:
            assert scratch.suffix == ".json"
            scratch.write_text(text)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == text
    assert [path.name for path in target.parent.iterdir()] == ["result.json"]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    """After an error or an interruption inside the block the old file stands and no scratch is left."""
    target = tmp_path / "result.json"
    target.write_text("old")

    def write() -> None:
        with atomic_file(target) as scratch:
            scratch.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_no_new_file(tmp_path: Path) -> None:
    """Where there was no file, an error leaves none."""
    with pytest.raises(ValueError, match="no"), atomic_file(tmp_path / "result.json"):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    """A folder is replaced as a whole: files of the old one are gone; nothing else is left beside it."""
    target = tmp_path / "runs" / "demo"
    for name in ("first", "second"):
        with atomic_folder(target) as scratch:
            (scratch / name).write_text(name)
            assert not (target / name).exists()
        assert [path.name for path in target.iterdir()] == [name]
    assert [path.name for path in target.parent.iterdir()] == ["demo"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder(tmp_path: Path, failure: type[BaseException]) -> None:
    """After an error or an interruption inside the block the old folder stands as it was."""
    target = tmp_path / "demo"
    target.mkdir()
    (target / "old").write_text("old")

    def write() -> None:
        with atomic_folder(target) as scratch:
            (scratch / "half").write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_file_of_that_name(tmp_path: Path) -> None:
    """A stray file where the folder belongs is replaced too."""
    target = tmp_path / "demo"
    target.write_text("stray")
    with atomic_folder(target) as scratch:
        (scratch / "new").write_text("new")
    assert (target / "new").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_the_cache_lies_where_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """$CROSSGATE_CACHE comes before $XDG_CACHE_HOME, which comes before ~/.cache."""
    monkeypatch.setenv("CROSSGATE_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_home() == Path("/a")
    monkeypatch.delenv("CROSSGATE_CACHE")
    assert cache_home() == Path("/b/crossgate")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_home() == Path.home() / ".cache" / "crossgate"


def test_equal_content_has_one_fingerprint() -> None:
    """Order of keys and layout in memory do not count."""
    square = np.arange(12.0).reshape(3, 4)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(square) == fingerprint(np.asfortranarray(square))


def test_different_content_has_different_fingerprints() -> None:
    """Value, type, shape, kind, order and the seams between parts all count."""
    names = [
        fingerprint(*parts)
        for parts in (
            (),
            (1,),
            (1.0,),
            ("1",),
            (None,),
            ([1],),
            (1, 2),
            (2, 1),
            ([1, 2],),
            (12,),
            (np.arange(4.0),),
            (np.arange(4.0).reshape(2, 2),),
            (np.arange(4),),
            (np.arange(4.0), np.arange(4.0)),
            (np.arange(8.0),),
            (np.concatenate([np.arange(4.0)] * 2),),
            ("ab", "c"),
            ("a", "bc"),
        )
    ]
    assert len(set(names)) == len(names)
    assert all(len(name) == 32 for name in names)


def test_what_has_no_plain_form_has_no_fingerprint() -> None:
    """An object that JSON cannot hold is refused rather than named by its address."""
    with pytest.raises(TypeError):
        fingerprint(object())


def test_a_tree_has_a_fingerprint(tmp_path: Path) -> None:
    """Any character, name or file counts, of the files with the suffixes that were asked for; line ends do not."""
    room = tmp_path / "room"
    room.mkdir()
    (room / "a.py").write_bytes(b"x = 1\n")
    (room / "b.toml").write_bytes(b"y = 1\n")
    first = tree_fingerprint([room], (".py", ".toml"))
    (room / "notes.txt").write_bytes(b"z")
    (room / "a.py").write_bytes(b"x = 1\r\n")
    assert tree_fingerprint([room], (".py", ".toml")) == first
    (room / "b.toml").write_bytes(b"y = 2\n")
    second = tree_fingerprint([room], (".py", ".toml"))
    (room / "b.toml").rename(room / "c.toml")
    assert len({first, second, tree_fingerprint([room], (".py", ".toml"))}) == 3


def test_source_has_a_fingerprint(tmp_path: Path) -> None:
    """Text and path of every Python file below a folder count; other files do not."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").write_text("x = 1\n")
    before = source_fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert source_fingerprint(tmp_path) == before
    (tmp_path / "inner" / "a.py").write_text("x = 2\n")
    changed = source_fingerprint(tmp_path)
    (tmp_path / "inner" / "a.py").rename(tmp_path / "inner" / "b.py")
    assert len({before, changed, source_fingerprint(tmp_path)}) == 3


def test_the_fingerprint_of_source_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is parsed once for each text and Python; a damaged answer counts as none, and no room for it as nothing."""
    parsed: list[str] = []
    honest, home = foundation.fingerprint._meaning, tmp_path / "cache"
    monkeypatch.setattr(foundation.fingerprint, "_meaning", lambda text: parsed.append(text) or honest(text))
    monkeypatch.setenv("CROSSGATE_CACHE", str(home))
    (tmp_path / "a.py").write_text("x = 1\n")

    def asked() -> tuple[str, int]:
        before = len(parsed)
        return source_fingerprint(tmp_path, ["a"]), len(parsed) - before

    first = asked()
    assert first[1] == 1
    assert asked() == (first[0], 0)
    (kept,) = (home / "sources").iterdir()
    for damaged in (first[0][:-1], "", first[0].upper() + "g", "é" * 32):
        kept.write_text(damaged, "utf-8")
        assert asked() == first
    monkeypatch.setattr(sys, "version", "3.99")
    assert asked() == first
    assert len(list((home / "sources").iterdir())) == 2
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "a.py"))
    assert [asked(), asked()] == [first, first]
    monkeypatch.setenv("CROSSGATE_CACHE", str(home))
    (tmp_path / "a.py").write_text("x = 2\n")
    assert asked()[0] != first[0]


def test_a_lazy_name_loads_its_module_on_first_use() -> None:
    """A public name resolves to the object in its module; an unknown one is an AttributeError."""
    resolve = lazy_exports("foundation", {"Quantity": "units"})
    assert resolve("Quantity") is Quantity
    with pytest.raises(AttributeError, match="module 'foundation' has no attribute 'Nothing'"):
        resolve("Nothing")


@pytest.mark.parametrize("package", [foundation, markets, models, strategies])
def test_every_public_name_resolves(package: Any) -> None:
    """Each name that a package exports is there, and no module of it has the name of one of its functions."""
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert not (Path(package.__file__).parent / f"{name}.py").exists()


@pytest.mark.parametrize("room", ["foundation", "markets", "models", "strategies"])
def test_importing_a_room_imports_nothing_heavy(room: str) -> None:
    """Neither torch, numba, matplotlib, rich, backtrader nor pandas is imported before a name is used."""
    heavy = ("torch", "numba", "matplotlib", "rich", "backtrader", "pandas")
    code = f"import sys, {room}; print([name for name in {heavy!r} if name in sys.modules])"
    assert run_python(code, TREE) == "[]"


def run_python(code: str, tree: Path, **environment: str) -> str:
    """What a fresh Python prints when it runs some code over a source tree."""
    variables = {**os.environ, "PYTHONPATH": str(tree), **environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
