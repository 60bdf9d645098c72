"""Linking: a rule is turned into LLVM's code once, and made machine code once, as a part of what Python calls.

numba optimises and emits every function by itself, with all that it calls, and again inside each of its callers. For
the rules of the kernel, 200 of them in many layers, that is most of a first run. Here a rule that another rule calls is
only typed and lowered; what is called from Python is linked with all that it needs, optimised as one module, and kept
on disk as machine code.

This rests on names inside numba that it does not promise; `constraints.txt` pins the version, and
`tests/test_linking.py` says which of them a new one has changed:

- `Dispatcher.compile` asks `_compiler.compile` where neither memory nor disk has a signature, and keeps the answer;
- a call from compiled code asks the dispatcher for `get_call_template` (the type) and `get_overload` (a key), and
  finds under that key what `insert_user_function` has put down: the descriptor, and libraries to link;
- with the flag `no_compile` a pipeline ends with lowered code in `state.library`, and calls nothing of it;
- a library's `finalize` links `_get_module_for_linking()` of each `add_linking_library`, then calls
  `_optimize_final_module`; what it keeps on disk is its object code, and of `_get_module_for_linking()` the names;
- `_finalize_specific` emits a library, or finds it in what came from disk; LLVM calls functions of Python meanwhile,
  through ctypes, which drops what they raise;
- `load_overload` makes everything known that numba can compile, a third of a second and 50 MB, before it reads from
  disk; machine code needs of that the addresses of the helpers in `_nrt_python.c_helpers`, by the names of `rtsys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache, cached_property
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import Environment, lookup_environment
from numba.core.event import trigger_event
from numba.core.registry import CPUDispatcher
from numba.core.runtime import _nrt_python
from numba.core.sigutils import normalize_signature
from numba.core.typing import make_concrete_template

from foundation.interrupts import held_interrupt

Kinds = tuple[Any, ...]


class LoweredLibrary(JITCodeLibrary):
    """A rule as lowered by numba, neither optimised nor emitted; its callees stand in libraries of their own."""

    def add_llvm_module(self, module: Any) -> None:
        """Takes code as it is."""
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def finalize(self) -> None:
        """Nothing more is added; nothing is linked or optimised before an entry needs it."""
        self._raise_if_finalized()
        self._finalized = True

    def needed(self, found: dict[Any, None]) -> dict[Any, None]:
        """This library and all that it rests on, each once, put down in `found`."""
        found[self] = None
        for library in self._linking_libraries:
            if library not in found:
                found[library] = None
                if isinstance(library, LoweredLibrary):
                    library.needed(found)
        return found

    def _get_module_for_linking(self) -> Any:
        """The rule with all that it needs, which each module that links it may drop where it is not used."""
        module, (_, *others) = self._final_module.clone(), self.needed({})
        for library in others:
            lowered = isinstance(library, LoweredLibrary)
            module.link_in(library._final_module if lowered else library._get_module_for_linking(), preserve=True)
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        return module


class EntryLibrary(JITCodeLibrary):
    """What Python calls: the wrapper that unpacks Python's arguments, linked with a rule and all that it needs."""

    def __init__(self, codegen: Any, name: str, wrapper: str) -> None:
        super().__init__(codegen, name)
        self.wrapper = wrapper
        self.enable_object_caching()

    def add_llvm_module(self, module: Any) -> None:
        """Takes code as it is: all of it is optimised at the end."""
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def _optimize_final_module(self) -> None:
        """Optimises the whole, once. Only the wrapper is seen from outside, so that all else may be inlined away."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.name != self.wrapper:
                function.linkage = "internal"
        passes, builder = self._codegen._module_pass_manager()
        with self._recorded_timings.record("Module passes (an entry)", builder):
            passes.run(self._final_module, builder)

    def _get_module_for_linking(self) -> Any:
        """The name of the wrapper, for numba's list of what there is: nobody links an entry."""
        return llvm.parse_assembly(f'define void @"{self.wrapper}"() {{ ret void }}')


class Lowering(Compiler):
    """numba's pipeline up to lowered code in a `LoweredLibrary`, without a wrapper for Python."""

    def define_pipelines(self) -> Any:
        """The passes, for a state that says where they end."""
        state = self.state
        state.library = LoweredLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        return super().define_pipelines()


class RuleCache(FunctionCache):
    """Rules kept on disk, which are loaded without what only compiling needs."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """numba's result for arguments of these types, or None."""
        _name_helpers()
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


class RuleDispatcher(CPUDispatcher):
    """A rule: Python calls what is compiled for its arguments, and compiled code what is lowered for them."""

    def __init__(self, function: Any, variables: Any = None, options: Any = None) -> None:
        super().__init__(function, variables, options, Lowering)
        self.lowered: dict[Kinds, Any] = {}
        self._lower, self._compiler.compile = self._compiler.compile, self._make_entry

    def keep_in(self, folder: str) -> None:
        """What is compiled is kept in a folder, and looked for there, which begins at the first call from Python.

        Most rules are only called by others, and to open a place for each takes a while.
        """
        self._folder = folder
        del self._cache

    @cached_property
    def _cache(self) -> Any:
        """numba's cache of this rule, which finds its folder in numba's config."""
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, self._folder
        try:
            return RuleCache(self.py_func)
        finally:
            numba.config.CACHE_DIR = before

    def get_call_template(self, args: Kinds, kws: Mapping[str, Any]) -> Any:
        """How other compiled code calls it: with any whole number where it has one constant, to lower it once."""
        given, named = tuple(map(_widened, args)), {name: _widened(kind) for name, kind in kws.items()}
        signature, kinds = self.fold_argument_types(given, named)
        if kinds not in self.lowered:
            details = {"dispatcher": self, "args": kinds, "return_type": None}
            with global_compiler_lock, self._compiling_counter, trigger_event("numba:compile", data=details):
                self.lower(kinds)
        name, known = self.py_func.__name__, [self.lowered[kinds].signature]
        return make_concrete_template(f"CallTemplate({name})", key=name, signatures=known), signature, kinds, {}

    def get_overload(self, sig: Any) -> Any:
        """The key under which numba finds what compiled code calls."""
        kinds, _ = normalize_signature(sig)
        return self.lowered[kinds].entry_point

    def lower(self, kinds: Kinds) -> Any:
        """numba's result for a rule as other rules call it, with arguments of these types."""
        if kinds not in self.lowered:
            made = self._lower(kinds, None)
            key = made.fndesc.mangled_name, self
            made.target_context.insert_user_function(key, made.fndesc, [made.library])
            self.lowered[kinds] = made._replace(entry_point=key)
        return self.lowered[kinds]

    def _make_entry(self, kinds: Kinds, return_type: Any) -> Any:
        """numba's result for a rule as Python calls it."""
        rule = self.lower(tuple(kinds))
        context, description = rule.target_context, copy(rule.fndesc)
        # The wrapper keeps the objects it needs, such as types of arrays, apart from those of the rule: whatever else
        # has the rule inside it, in memory or on disk, knows the rule's alone.
        description.env_name = f"{description.env_name}.wrapper"
        environment = Environment.from_fndesc(description)
        library = EntryLibrary(context.codegen(), description.qualname, description.llvm_cpython_wrapper_name)
        library.add_linking_library(rule.library)
        context.create_cpython_wrapper(library, description, environment, None, release_gil=True)
        entry = context.get_executable(library, description, environment)
        # A rule's environment, where numba keeps Python objects it needs: its own code has never been loaded.
        for variable in library._final_module.global_variables:
            if (known := lookup_environment(variable.name)) is not None:
                library.codegen.set_env(variable.name, known)
        kept = {"fndesc": description, "environment": environment, "reload_init": list(library._reload_init)}
        return rule._replace(library=library, entry_point=entry, **kept)


@cache
def _name_helpers() -> None:
    """Tells LLVM, once, where the helpers are that machine code calls by name."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _hold_interrupts() -> None:
    """Has all of numba's libraries emitted with Ctrl-C held back.

    Most of an emission passes in LLVM. An interrupt meanwhile was raised in the first line of Python that LLVM called,
    where ctypes dropped it: the interrupt was lost, and the machine code too.
    """
    honest = JITCodeLibrary._finalize_specific

    def _finalize_specific(self: Any) -> None:
        with held_interrupt():
            honest(self)

    JITCodeLibrary._finalize_specific = _finalize_specific


_hold_interrupts()


def _widened(kind: Any) -> Any:
    kind = numba.types.unliteral(kind)
    return numba.types.int64 if isinstance(kind, numba.types.Integer) else kind
