"""The size limits of the house: files of at most 400 lines, functions of at most 40 code lines.

Code lines leave out blank lines, comments and docstrings. Run as a script, it prints what is
too long and exits with 1.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
ROOMS = ("foundation", "markets", "models", "strategies", "backtests", "reports", "witness", "crossgate")
FOLDERS = (*ROOMS, "tests", "benchmarks")
FILE_LINES = 400
FUNCTION_LINES = 40

_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold code: not blank, not a comment, not a docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        described = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if described and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def too_long(source: str, name: str) -> Iterator[str]:
    """One line of text for every limit that a file goes beyond."""
    total = len(source.splitlines())
    if total > FILE_LINES:
        yield f"{name}: {total} lines, at most {FILE_LINES}; give one of its nouns a module of its own"
    lines = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            if count > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {count} code lines, at most {FUNCTION_LINES}"


def find_too_long() -> list[str]:
    """Every breach in the repository."""
    files = sorted(path for folder in FOLDERS for path in (TREE / folder).rglob("*.py"))
    return [breach for path in files for breach in too_long(path.read_text("utf-8"), str(path.relative_to(TREE)))]


if __name__ == "__main__":
    breaches = find_too_long()
    print("\n".join(breaches) or f"no file above {FILE_LINES} lines, no function above {FUNCTION_LINES} code lines")
    sys.exit(bool(breaches))
