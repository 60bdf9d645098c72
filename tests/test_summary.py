"""The summary of a run: one rule for `print(result)` and the command line, the verdict first, ranges beside figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from null_markets import ACCOUNT, ALONE, RISK, STRATEGY, known_market
from result_factory import make_market, make_result, make_trades

import crossgate as cg
from backtests.run.result import Result
from crossgate.summary import coloured
from foundation.spark import spark_line
from foundation.trials import TrialLedger
from reports.bootstrap import bootstrap_intervals
from reports.curves import equity_curve
from reports.report import write_report
from reports.summary import summary_of


def losing() -> Result:
    """A run that loses, of 133 trades."""
    assert cg.backtest is not None
    return make_result(make_market(bars=4000, synthetic=True), make_trades(4000, every=30), name="loser")


def earning() -> Result:
    """A run on forecasts that know much of what is to come."""
    market, forecasts = known_market(1, 0.5)
    return cg.backtest(market, forecasts, STRATEGY, RISK, ACCOUNT, name="earner")


def test_a_result_and_its_folder_say_the_same(tmp_path: Path) -> None:
    """Of a run that stops at the first rung every line is the same; the folder adds the odds among all trials."""
    result = losing()
    folder = write_report(result, tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path / "ledger")).parent
    said, kept = str(result).splitlines(), str(summary_of(folder)).splitlines()
    odds = [line for line in kept if line.startswith("deflated Sharpe ratio: odds of more than luck ")]
    assert [line for line in kept if line not in odds] == said
    assert len(odds) == 1
    assert said[0] == "Verdict, rung 1 of 9: It loses after costs."
    assert odds[0].endswith("among 1 trial on this data when it was written")


def test_a_run_that_needs_others_beside_it_says_what_to_call() -> None:
    """Past the rungs that it tells of by itself a Result claims no more, and names what judges the rest."""
    said = str(earning()).splitlines()
    assert said[0] == "Verdict, past rung 2 of 9: It earns after costs, and its forecasts have skill."
    assert 'write_report(result, "runs/earner")' in said[1]
    market, forecasts = known_market(5, 0.5)
    result = cg.backtest(market, forecasts, ALONE.replaced(rule="crossover"), RISK, ACCOUNT)
    first = str(result).splitlines()[0]
    assert first.endswith(("asks no forecast.", "It loses after costs."))


def test_the_written_run_is_judged_on_all_rungs(tmp_path: Path) -> None:
    """The summary of the folder begins with the verdict that the folder keeps; the figures are those of the Result."""
    result = earning()
    folder = write_report(result, tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path / "ledger")).parent
    kept, said = str(summary_of(folder)).splitlines(), str(result).splitlines()
    assert kept[0].startswith("Verdict, rung ")
    assert said[2:7] == kept[2:7]


def test_ranges_stand_beside_the_headlines() -> None:
    """The bootstrap's range of Sharpe ratio, growth and drawdown, on the line of each; trades with their win rate."""
    result = losing()
    curve = equity_curve(result)
    found = bootstrap_intervals(curve.returns, curve.bars_per_year)
    assert found is not None
    lines = {line.split("  ")[0]: line for line in str(result).splitlines()}
    low, high = (f"{abs(end):.2f}" for end in found.sharpe)
    assert lines["Sharpe"].replace("−", "").endswith(f"95 % range {low} to {high}")  # noqa: RUF001
    for name in ("CAGR", "Maximum drawdown"):
        assert "95 % range" in lines[name]
    assert "133" in lines["Trades"]
    assert "win rate" in lines["Trades"]
    assert spark_line(result.equity["equity"].to_list()) in lines


def test_a_run_without_a_trade_has_no_ranges() -> None:
    """Nothing varies: no range, no win rate, and the verdict says that no trade was made."""
    text = str(make_result(make_market(bars=100), [], name="idle"))
    assert "It did not trade." in text
    assert "It made no trade." in text
    assert "loses" not in text
    assert "range" not in text
    assert "win rate" not in text


def test_colours_change_no_letter() -> None:
    """A terminal shows the same text; a bad verdict is red, one that is open yellow."""
    for result, colour in ((losing(), "bold red"), (earning(), "bold yellow")):
        summary = summary_of(result)
        shown = coloured(summary)
        assert shown.plain == str(summary)
        assert colour in {str(span.style) for span in shown.spans if span.start == 0}


def test_the_name_of_a_result_is_one_line() -> None:
    """What a prompt shows of a Result is short, whatever its tables hold."""
    assert repr(losing()).startswith("<Result loser: 2023-01-01 00:00 to ")
    assert "\n" not in repr(losing())


@pytest.mark.parametrize("words", [["show"], ["verdict"], ["diff"]])
def test_what_was_written_is_shown_without_a_compiler(tmp_path: Path, words: list[str]) -> None:
    """Commands that read run folders load neither numba nor a library of statistics, pages or figures."""
    folder = write_report(earning(), tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path / "ledger")).parent
    asked = [*words, str(folder), *([str(folder)] if words[0] == "diff" else [])]
    code = f"import sys; sys.argv = {['crossgate', *asked]}\nfrom crossgate.command_line import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    heavy = "numba scipy matplotlib jinja2 torch backtrader talib sklearn statsmodels pydantic_settings"
    code += f"print(sorted(set({heavy.split()}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
