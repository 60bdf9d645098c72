"""Labels: the tags and the note that people put on a run, kept in its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file
from foundation.locks import sole_writer

FILE = "labels.json"


class Labels(NamedTuple):
    """What people say of a run: tags in alphabetical order, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


def read_labels(folder: Path) -> Labels:
    """The labels of a run folder; none where none were given. Raises DataError for a damaged file."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        return Labels(tuple(map(str, content["tags"])), str(content["note"]))
    except FileNotFoundError:
        return Labels()
    except (ValueError, KeyError, TypeError):
        raise DataError(path, "is damaged", fix="remove it and label the run again") from None


def change_labels(folder: Path, add: Sequence[str] = (), remove: Sequence[str] = (), note: str | None = None) -> Labels:
    """The labels of a run folder after a change; those who change them at once take turns.

    Raises ParameterError for a tag that is no single word.
    """
    for tag in (*add, *remove):
        if not re.fullmatch(r"[\w.+-]{1,40}", tag):
            raise ParameterError("tag", "is not one word", value=tag, fix="up to 40 letters, digits, dots and dashes")
    with sole_writer(folder.parent / ".labels.lock", "labelling a run"):
        before = read_labels(folder)
        tags = tuple(sorted({*before.tags, *add} - set(remove)))
        after = Labels(tags, before.note if note is None else note)
        with atomic_file(folder / FILE) as scratch:
            scratch.write_text(json.dumps(after._asdict(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return after
