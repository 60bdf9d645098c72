"""The page docs/settings.md: every key of a config, its default and what may be written, from the parameters.

`python benchmarks/settings_page.py` prints the page; with `--write` it takes the place of docs/settings.md.
"""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.own_strategy import OwnParams
from crossgate.tables import BookParams, DemoParams, MarketParams, ModelParams, RunParams
from foundation.parameters import Parameters
from markets.contract import Bracket, Contract
from markets.exogenous_files import ExogenousParams
from models.calibration import CalibrationParams
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.search_parameters import SearchParams
from strategies.parameters import CrossoverParams, RiskParams, Target

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
# The heading of each table, and the classes that say what stands in it; the last one's keys are shown.
TABLES: tuple[tuple[str, tuple[type[Parameters], ...]], ...] = (
    ("[run]", (RunParams,)),
    ("[market], from the store or from files", (MarketParams,)),
    ("[market], the demo market", (DemoParams,)),
    ("[market], an order book", (BookParams,)),
    ("[market.contract]", (Contract,)),
    ("[[market.contract.tiers]]", (Bracket,)),
    ("[[exogenous]]", (ExogenousParams,)),
    ("[features]", (FeatureParams,)),
    ("[model]", (LSTMParams, ModelParams)),
    ("[walk_forward]", (WalkForwardParams,)),
    ("[calibration]", (CalibrationParams,)),
    ("[model_search]", (SearchParams,)),
    ("[strategy], the rules of the project", (CrossoverParams,)),
    ("[strategy], written by hand", (OwnParams,)),
    ("[risk]", (RiskParams,)),
    ("[[risk.targets]]", (Target,)),
    ("[account]", (AccountParams,)),
    ("[costs]", (CostParams,)),
)
HEAD = """# Every key of a config

A config is a TOML file of these tables. A table or a key that is left out has its default. `--set table.key=value`
changes one for a single run, and `crossgate check CONFIG` says what is wrong. In Python the keys of a table are the
fields of the class beside its heading. `python benchmarks/settings_page.py --write` makes this page from those classes.
"""


def make_page() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(section(heading, kinds) for heading, kinds in TABLES)])


def section(heading: str, kinds: tuple[type[Parameters], ...]) -> str:
    """One table of a config: what it is, and a row for each of its keys."""
    said = "\n\n".join(inspect.cleandoc(kind.__doc__ or "") for kind in kinds)
    shown = [(name, field) for name, field in kinds[-1].model_fields.items() if not field.exclude]
    rows = [f"| `{name}` | {default(field)} | {cell(field.description or '')} |" for name, field in shown]
    table = "\n".join(["| key | default | what may be written |", "| --- | --- | --- |", *rows])
    return f"## {heading}: `{kinds[-1].__name__}`\n\n{said}\n\n{table}\n"


def default(field: FieldInfo) -> str:
    """The default of a key as a config would say it."""
    if field.is_required():
        return "needed"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "off" if '"off"' in (field.description or "") else ""
    return f"`{cell(written(value))}`"


def written(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {written(one)}' for name, one in value.items())} }}" if value else "{}"
    if isinstance(value, tuple | list) and not hasattr(value, "unit"):
        return f"[{', '.join(written(one) for one in value)}]"
    return f"{value:g}" if isinstance(value, float) else f'"{value}"' if not isinstance(value, int) else str(value)


def cell(text: str) -> str:
    """A text as a cell of a table can hold it."""
    return text.replace("|", "\\|")


def main() -> None:
    """Prints the page, or writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    page = make_page()
    if parser.parse_args().write:
        DOCUMENT.write_text(page, "utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
