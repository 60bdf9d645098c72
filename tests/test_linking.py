"""Linking: what one rule calls becomes one piece of machine code; and what that rests on inside numba."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.compiler import Compiler
from numba.core.runtime import _nrt_python, rtsys

from foundation import linking
from foundation.compilation import rule
from foundation.compilation_notice import TEXT
from foundation.linking import EntryLibrary, LoweredLibrary

TREE = Path(__file__).resolve().parent.parent


@rule
def lowest(value: float) -> float:
    """The bottom of the diamond."""
    if value < 0.0:
        raise ValueError("below zero")
    return value + 1.0


@rule
def left(value: float) -> float:
    """One way down."""
    return 2.0 * lowest(value)


@rule(inline=True)
def right(value: float) -> float:
    """The other way down."""
    return 3.0 * lowest(value)


@rule
def top(value: float) -> float:
    """Calls the lowest rule in two ways."""
    return left(value) + right(value)


@rule(makes_arrays=True)
def pair(value: float) -> np.ndarray:
    """Two numbers."""
    return np.array([value, value + 1.0])


@rule(makes_arrays=True)
def total(count: int) -> float:
    """The sum of many pairs, each made and let go."""
    found = 0.0
    for k in range(count):
        found += pair(float(k)).sum()
    return found


def compiled(function: Any, *given: Any) -> Any:
    """A dispatcher of its own for a rule's Python, without a cache, after one call."""
    fresh = linking.RuleDispatcher(function.py_func, options=dict(function.targetoptions))
    fresh(*given)
    return fresh


def defined(library: Any) -> dict[str, str]:
    """The linkage of each function that a library defines, by the name of its rule."""
    functions = [one for one in library._final_module.functions if not one.is_declaration]
    return {one.name: one.linkage.name for one in functions}


def test_what_python_calls_is_optimised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rules in three layers are one module: optimised once, one name to be seen, the callees inlined away."""
    passes: list[str] = []
    honest = EntryLibrary._optimize_final_module

    def counted(library: EntryLibrary) -> None:
        passes.append(library.name)
        names = [name for name in defined(library) if "lowest" in name]
        assert len(names) == 1, "a rule that is needed twice is linked once"
        honest(library)

    monkeypatch.setattr(EntryLibrary, "_optimize_final_module", counted)
    function = compiled(top, 4.0)
    assert function(4.0) == 25.0
    assert passes == ["top"]
    (entry,) = function.overloads.values()
    seen = [name for name, linkage in defined(entry.library).items() if linkage == "external"]
    assert seen == [entry.fndesc.llvm_cpython_wrapper_name]
    assert not [name for name in defined(entry.library) if "lowest" in name]


def test_a_rule_that_only_rules_call_is_never_emitted() -> None:
    """It is lowered, for its callers; nothing of it is machine code until Python calls it."""
    compiled(top, 4.0)
    (lowered,) = right.lowered.values()  # type: ignore[attr-defined]
    assert isinstance(lowered.library, LoweredLibrary)
    assert right.signatures == []  # type: ignore[attr-defined]
    assert not lowered.library.codegen._engine.is_symbol_defined(lowered.fndesc.llvm_func_name)
    assert right(1.0) == 6.0
    assert len(right.signatures) == 1  # type: ignore[attr-defined]


def test_an_error_in_a_callee_reaches_python() -> None:
    """With its type and its words, through two layers; and Python's own errors of arithmetic too."""
    with pytest.raises(ValueError, match="below zero"):
        top(-1.0)


def test_arrays_that_rules_hand_on_are_let_go() -> None:
    """As many arrays are freed as are made, where a callee returns them."""
    assert total(10) == 100.0
    _nrt_python.memsys_enable_stats()
    before = rtsys.get_allocation_stats()
    total(1000)
    after = rtsys.get_allocation_stats()
    _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free > 0


def test_other_compiled_code_may_call_a_rule() -> None:
    """A function of numba's own decorator finds a rule with all that it needs."""

    @numba.njit
    def asked(value: float) -> float:
        return top(value) + left(value)

    assert asked(4.0) == 35.0


SPEAK = """
import numpy as np
from foundation.compilation import rule

@rule(makes_arrays=True)
def speak(value):
    print(np.array([value]))
    if value > 1.0:
        raise ValueError("too much", value)
    return value

@rule(makes_arrays=True)
def ask(value):
    return 2.0 * speak(value)
"""


def test_a_callee_keeps_its_python_objects_from_one_process_to_the_next(tmp_path: Path) -> None:
    """What a callee prints and raises at run time needs objects of Python: compiled here, and loaded from disk."""
    (tmp_path / "spoken.py").write_text(SPEAK)
    asked = "from spoken import ask\nprint(ask(1.0), sum(ask.stats.cache_hits.values()))\nask(2.0)"
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TREE)]), "CROSSGATE_CACHE": str(tmp_path / "cache")}
    for hits in (0, 1):
        done = subprocess.run(
            [sys.executable, "-c", asked], env={**os.environ, **variables, "NUMBA_DISABLE_JIT": "0"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.stdout == f"[1.]\n2.0 {hits}\n[2.]\n", done.stderr
        assert "ValueError: ('too much', 2.0)" in done.stderr


MAKE = """
from foundation.compilation import rule
import numpy as np

@rule(makes_arrays=True)
def doubled(values):
    return values * 2.0 if len(values) < 3 else np.log(values)

@rule
def total(values):
    found = 0.0
    for value in values:
        found += value ** 0.5
    return found
"""
MADE = """
import sys
import numpy as np
from made import doubled, total
found = doubled(np.array([1.0, 2.0]))
print(found.tolist(), total(np.array([4.0])), sum(doubled.stats.cache_hits.values()))
print("numba.typed.typeddict" in sys.modules)
print(doubled(np.array([1, 2], dtype=sys.argv[1])).tolist())
"""


def test_rules_from_disk_do_without_what_only_compiling_needs(tmp_path: Path) -> None:
    """They run, and make arrays, without numba's tables; in the same process others are compiled when asked for."""
    (tmp_path / "made.py").write_text(MAKE)
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TREE)]), "CROSSGATE_CACHE": str(tmp_path / "cache")}
    for hits, tables, kind in ((0, True, "int64"), (1, False, "int32")):
        done = subprocess.run(
            [sys.executable, "-c", MADE, kind], env={**os.environ, **variables, "NUMBA_DISABLE_JIT": "0"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.stdout == f"[2.0, 4.0] 2.0 {hits}\n{tables}\n[2.0, 4.0]\n", done.stderr


INTERRUPTED = """
import signal
from numba.core.codegen import JITCodeLibrary

signal.signal(signal.SIGINT, signal.default_int_handler)
hooks = {"compiled": JITCodeLibrary._object_compiled_hook, "read": JITCodeLibrary._object_getbuffer_hook}
struck = []

def strike(name):
    def hook(cls, *given):
        library = getattr(given[0], "_CPUCodeLibrary__library", None)
        if not struck and library is not None and (name == "compiled" or getattr(library, "_compiled_object", b"")):
            struck.append(name)
            signal.raise_signal(signal.SIGINT)
        return hooks[name](*given)
    return classmethod(hook)

JITCodeLibrary._object_compiled_hook = strike("compiled")
JITCodeLibrary._object_getbuffer_hook = strike("read")
from made import total
import numpy as np
for _ in range(2):
    try:
        print(total(np.array([4.0])))
    except KeyboardInterrupt:
        print("interrupted", *struck)
"""


def test_an_interrupt_while_code_is_emitted_or_read_is_raised(tmp_path: Path) -> None:
    """It comes in a function that LLVM calls, where it would be dropped: raised afterwards, and the next call works."""
    (tmp_path / "made.py").write_text(MAKE)
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TREE)]), "CROSSGATE_CACHE": str(tmp_path / "cache")}
    for name in ("compiled", "read"):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED], env={**os.environ, **variables, "NUMBA_DISABLE_JIT": "0"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.stdout == f"interrupted {name}\n2.0\n", done.stderr
        assert done.stderr in ("", f"{TEXT} ...\n")  # where compiling takes long, it says so


BOTH = """
from typing import NamedTuple
import numpy as np
from foundation.compilation import rule

KIND = np.dtype([("value", np.float64), ("count", np.int64)])

class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray

@rule(makes_arrays=True)
def pair(count):
    return Pair(np.zeros(count, dtype=KIND), np.ones(count))

@rule(makes_arrays=True)
def caller(count):
    return pair(count).second.sum()
"""


def test_a_callee_that_python_calls_after_its_caller_is_whole(tmp_path: Path) -> None:
    """From disk, in either order: what its wrapper needs of Python is its own, and not what its caller knew of it."""
    (tmp_path / "both.py").write_text(BOTH)
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TREE)]), "CROSSGATE_CACHE": str(tmp_path / "cache")}
    for calls in ("caller(2), pair(2)", "caller(2), pair(2)", "pair(2), caller(2)"):
        done = subprocess.run(
            [sys.executable, "-c", f"from both import caller, pair\nprint({calls})"],
            env={**os.environ, **variables, "NUMBA_DISABLE_JIT": "0"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-500:]
        assert "Pair(first=array([(0., 0), (0., 0)]" in done.stdout


def test_numba_still_is_what_linking_rests_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that foundation/linking.py takes for granted inside numba, by the words of its docstring."""
    changed = "numba has changed what foundation/linking.py rests on: "
    called: list[str] = []

    def watched(owner: Any, name: str) -> None:
        honest = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **named: (called.append(name), honest(*given, **named))[1])

    for owner, name in (
        (linking.RuleDispatcher, "_make_entry"), (linking.RuleDispatcher, "get_call_template"),
        (linking.RuleDispatcher, "get_overload"), (EntryLibrary, "add_llvm_module"),
        (EntryLibrary, "_optimize_final_module"), (LoweredLibrary, "add_llvm_module"), (LoweredLibrary, "finalize"),
        (LoweredLibrary, "_get_module_for_linking"),
    ):  # fmt: skip
        watched(owner, name)
    function = compiled(top, 1.0)
    expected = {
        "_make_entry": "Dispatcher.compile asks _compiler.compile",
        "get_call_template": "a call asks get_call_template for its type",
        "get_overload": "a call asks get_overload for a key",
        "add_llvm_module": "add_ir_module hands parsed code to add_llvm_module",
        "finalize": "add_linking_library finalizes what it is given",
        "_get_module_for_linking": "finalize links _get_module_for_linking()",
        "_optimize_final_module": "finalize calls _optimize_final_module",
    }
    for name, assumption in expected.items():
        assert name in called, changed + assumption
    (entry,) = function.overloads.values()
    names = [one.name for one in entry.library._get_module_for_linking().functions]
    assert names == [entry.fndesc.llvm_cpython_wrapper_name], changed + "what a library keeps on disk"
    for flag in ("no_compile", "no_cpython_wrapper", "no_cfunc_wrapper"):
        assert flag in numba.core.compiler.Flags.options, changed + f"the flag {flag}"
    assert issubclass(linking.Lowering, Compiler)
    assert function.lowered, changed + "a pipeline with no_compile ends with lowered code"


def test_a_rule_that_python_does_not_call_opens_no_place_on_disk() -> None:
    """Only what Python calls looks for a place of its own: there are hundreds of rules, and a command calls few."""
    from foundation.compilation import rule

    @rule
    def inner(value: float) -> float:
        return value + 1.0

    @rule
    def outer(value: float) -> float:
        return inner(value) * 2.0

    assert outer(1.0) == 4.0
    assert "_cache" in vars(outer)
    assert "_cache" not in vars(inner)
    assert inner(1.0) == 2.0
    assert "_cache" in vars(inner)
