"""Own features: a Python file of a user's features, imported once and known by its content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.errors import CrossgateError, ParameterError
from foundation.own_code import own_fingerprint, run_file
from models import features as registry

# The content and the names of each file that was imported.
_IMPORTED: dict[Path, tuple[str, set[str]]] = {}


def import_features(path: str | Path) -> str:
    """The fingerprint of a file whose decorated functions are features from now on, and of the own modules it imports.

    A file is run once; run again only where its content has changed, and then its earlier features are forgotten.
    Raises ParameterError where it is not there, does not run, or takes the name of a feature that exists already. Only
    name files that you trust: they are run as they stand.
    """
    file = Path(path).expanduser().resolve()
    try:
        content = own_fingerprint(file)
    except (OSError, UnicodeDecodeError) as error:
        fix = "a path from here, or from the folder of the config"
        missing = isinstance(error, FileNotFoundError)
        problem = "there is no such file" if missing else f"cannot be read ({error})"
        raise ParameterError("features.file", problem, value=str(path), fix=fix) from None
    kinds = registry.known_kinds()
    # A copy elsewhere, such as the one in a run folder, is the same file.
    if any(known == content and names <= set(kinds) for known, names in _IMPORTED.values()):
        return content
    kept = {name: kind for name, kind in kinds.items() if name not in _IMPORTED.get(file, ("", set()))[1]}
    registry.replace_kinds(kept)
    try:
        _run(file, content)
        taken = sorted(name for name in kept if registry.known_kinds().get(name) is not kept[name])
        if taken:
            raise ParameterError(
                "features.file", f"takes the name {taken[0]}, which a feature has", value=str(path), fix="rename it"
            )
    except BaseException:
        registry.replace_kinds(kinds)
        raise
    _IMPORTED[file] = content, set(registry.known_kinds()) - set(kept)
    return content


@contextmanager
def own_registry() -> Iterator[None]:
    """A block in which no file of own features is registered at first; after it those are that were before.

    So a run that is played again finds the features of its own copy, whatever became of the file that it copied.
    """
    kinds, imported = registry.known_kinds(), dict(_IMPORTED)
    own = {name for _, names in imported.values() for name in names}
    registry.replace_kinds({name: kind for name, kind in kinds.items() if name not in own})
    _IMPORTED.clear()
    try:
        yield
    finally:
        registry.replace_kinds(kinds)
        _IMPORTED.clear()
        _IMPORTED.update(imported)


def _run(file: Path, content: str) -> None:
    if file.suffix != ".py":
        raise ParameterError("features.file", "is no Python file", value=str(file), fix="name it *.py")
    try:
        run_file(file, f"own_features_{content}")
    except CrossgateError:
        raise
    except Exception as error:
        problem = f"does not run: {type(error).__name__}: {error}"
        raise ParameterError("features.file", problem, value=str(file), fix="run it with python") from error
