"""The project's arithmetic against published numbers of venues and other engines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from golden_cases import FOLDER, Row, read_rows, read_rules
from golden_inverse import INVERSE
from golden_linear import LINEAR
from golden_orders import NO_SUCH_RULE, ORDERS

MAP = LINEAR | INVERSE | ORDERS
ROWS = sorted(read_rows(), key=lambda row: row.rule)
HARD = {rule: list(rows) for rule, rows in groupby((row for row in ROWS if row.kind == "hard"), lambda row: row.rule)}
# 330 of the 460 verified rows are the least that has to run.
LEAST_SHARE = 330 / 460


def evaluate(row: Row) -> float:
    """The project's answer to a row; a rule that nobody has mapped is a failure."""
    assert row.rule in MAP, f"{row.rule} is mapped to no function and to no reason"
    return float(MAP[row.rule](row))


def soft_disagreements(rows: list[Row]) -> list[str]:
    """The rows of numbers that no source prints and the project does not reproduce; nothing fails for them."""
    found = []
    for row in rows:
        try:
            found += disagreements([row])
        except (KeyError, StopIteration, TypeError, ValueError, ZeroDivisionError) as error:
            found.append(f"{row.id}: {error!r}")
    return found


def disagreements(rows: list[Row]) -> list[str]:
    """The rows that the project does not reproduce, with both numbers."""
    found = []
    for row in rows:
        value = evaluate(row)
        if not row.agrees(value):
            found.append(f"{row.id}: {value!r}, published {row.expected!r} ({row.inputs})")
    return found


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every row of the folder; tests that need it are skipped where there is none."""
    if not ROWS:
        pytest.skip(f"no published numbers at {FOLDER}: set CROSSGATE_GOLDEN to a folder with cases/*.csv")
    return ROWS


@pytest.mark.parametrize("rule", sorted(set(HARD) - set(NO_SUCH_RULE)))
def test_verified_numbers_of_a_rule_are_reproduced(rule: str) -> None:
    """Every number that a source prints and a recomputation met comes out of the project's own function."""
    assert disagreements(HARD[rule]) == []


def test_every_rule_is_mapped_or_explained(rows: list[Row]) -> None:
    """Each rule has a function or a reason, never both, those without a row here included."""
    known = read_rules() | {row.rule for row in rows}
    assert known - set(MAP) - set(NO_SUCH_RULE) == set()
    assert not set(MAP) & set(NO_SUCH_RULE)
    assert all(len(reason.split()) >= 8 for reason in NO_SUCH_RULE.values())
    assert len(MAP) == len(LINEAR) + len(INVERSE) + len(ORDERS)


def test_an_unknown_rule_fails(rows: list[Row]) -> None:
    """A rule that nobody has thought of is not passed over in silence."""
    stranger = replace(rows[0], rule="linear.unheard_of")
    with pytest.raises(AssertionError, match=r"linear\.unheard_of is mapped to no function"):
        evaluate(stranger)


def test_a_wrong_number_is_a_disagreement(rows: list[Row]) -> None:
    """A number beyond its tolerance is named with both values."""
    row = next(row for row in rows if row.kind == "hard" and row.rule in MAP)
    wrong = replace(row, expected=row.expected + 1.0)
    assert disagreements([row]) == []
    assert row.id in disagreements([wrong])[0]
    assert soft_disagreements([replace(row, inputs={})])[0].startswith(f"{row.id}: ")


def test_most_of_the_verified_numbers_run(rows: list[Row]) -> None:
    """At least 330 of 460 verified numbers meet a function, the rest a written reason."""
    hard = [row for row in rows if row.kind == "hard"]
    run = [row for row in hard if row.rule in MAP]
    soft = [row for row in rows if row.kind == "soft" and row.rule in MAP]
    missed = soft_disagreements(soft)
    kinds = Counter(row.kind for row in rows)
    print(f"{len(run)} of {len(hard)} verified rows run; {len(soft) - len(missed)} of {len(soft)} derived ones agree")
    print(
        f"rows: {dict(kinds)}; rules: {len(MAP)} with a function, {len(NO_SUCH_RULE)} with a reason", *missed, sep="\n"
    )
    assert len(run) >= LEAST_SHARE * len(hard)


def test_a_folder_of_further_rows_needs_no_change_here(tmp_path: Path) -> None:
    """Rows are found by rule and inputs alone, whatever their file and id are called; null inputs count as missing."""
    header = "id,rule,exchange,contract,margin_mode,inputs,quantity,expected,unit,tol_abs,tol_rel,verified,origin\n"
    inputs = '"{""entry"": 100, ""mark"": 110, ""qty"": 2, ""side"": -1, ""exit"": null}"'
    line = f"x.1,linear.unrealized_pnl_mark,okx,linear,any,{inputs},unrealized_pnl,-20,USDT,1e-9,,true,source\n"
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "other.csv").write_text(header + line + line.replace("true,source", "false,derived"))
    found = read_rows(tmp_path)
    assert [row.kind for row in found] == ["hard", "soft"]
    assert disagreements(found) == []
    assert read_rows(tmp_path / "nowhere") == []
    assert read_rules(tmp_path) == set()
