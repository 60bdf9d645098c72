"""The command line: `crossgate backtest | check | train | compare | skill`, and the commands of other modules."""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError

from crossgate import (
    data_commands,
    run_commands,
    seal_command,
    sweep_command,
    tune_command,
    tune_model_command,
    verdict_command,
)
from crossgate.options import AsJson, Cluster, ConfigPath, Data, Overrides
from crossgate.output import AsFormat, Format, give
from foundation.cluster import on_cluster
from foundation.errors import CrossgateError
from foundation.files import FULL

# A command makes objects by the hundred thousand, nearly all for its whole life, and few cycles. Python's collector
# looks at all of them again and again, 0.4 seconds of a backtest, where it begins at every 700th new one.
COLLECTOR = (50_000, 20, 20)

app = typer.Typer(
    help="Backtests LSTM signal strategies on leveraged crypto futures.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_commands.app, name="data")


def main() -> None:
    """Runs the command line; a mistake in what was asked for is one line on standard error and exit code 2."""
    gc.set_threshold(*COLLECTOR)
    try:
        code = app(prog_name="crossgate", standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except ClickException as error:
        print(f"crossgate: {_usage(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(1)
    except CrossgateError as error:
        print(f"crossgate: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # A file that cannot be reached is for the user to mend; other faults are ours and keep their traceback.
        full = error.errno in FULL
        if error.filename is None and not full:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        said = "; what is whole was kept; make room, and the same command goes on" if full else ""
        print(f"crossgate: {where}{(error.strerror or 'cannot be used').lower()}{said}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: ClickException) -> str:
    """What is wrong with the words of a command, in one line, and where its words are explained."""
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    said = re.sub(r"^Invalid value for '(.+?)': (.)", lambda one: f"{one[1]}: {one[2].lower()}", " ".join(said.split()))
    context = error.ctx if isinstance(error, UsageError) else None
    path = "crossgate" if context is None else context.command_path
    return f"{said[0].lower()}{said[1:]}; {path} --help lists what there is"


@app.command()
def backtest(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help="A TOML file, or a strategy in a Python file, such as breakout.py:Breakout; else the demo.",
        ),
    ] = None,
    overrides: Overrides = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The folder of the run; else runs/ and the run's name.")
    ] = None,
    open_seal: Annotated[
        bool, typer.Option("--open-seal", help="Look at sealed data too; the ledger remembers it.")
    ] = False,
    address: Cluster = None,
    as_format: AsFormat = None,
    as_json: AsJson = False,
) -> None:
    """Train, forecast, trade and write the report."""
    from crossgate.config import DEMO_CONFIG, load_config
    from crossgate.job import run_job
    from crossgate.summary import print_folder

    settings = load_config(config or DEMO_CONFIG, overrides or (), data)
    target = out or Path("runs") / settings.run.name
    with on_cluster(address):
        _, page = run_job(settings, target, data, pdf=as_format is Format.pdf, open_seal=open_seal)
    if as_format is not None or as_json:
        give(page.parent, as_format or Format.json)
    else:
        print_folder(page.parent)


@app.command()
def check(config: ConfigPath, overrides: Overrides = None, data: Data = None, as_json: AsJson = False) -> None:
    """Check a config and its data; train nothing."""
    from crossgate.config import load_config
    from crossgate.job import check_markets, first_tests, load_markets
    from crossgate.stop_check import unreachable_stop
    from crossgate.summary import market_record, print_markets
    from foundation.seals import sealed_from
    from foundation.trials import TrialLedger
    from markets.market import common_span
    from strategies.parameters import CrossoverParams

    settings = load_config(config, overrides or (), data)
    markets = load_markets(settings, data)
    check_markets(settings, markets)
    cut = common_span(markets)
    starts = first_tests(settings, cut)
    ledger = TrialLedger()
    records = [market_record(one, starts[one.symbol], sealed_from(ledger, one.trial_key)) for one in cut]
    if isinstance(settings.strategy, CrossoverParams):
        risk, account, direction = settings.risk, settings.account, settings.strategy.direction
        for record, one in zip(records, cut, strict=True):
            record["unreachable_stop"] = unreachable_stop(one.contract, risk, account, direction)
    if as_json:
        _print_json({"config": str(config), "markets": records})
    else:
        print_markets(config, records)


@app.command()
def train(
    config: ConfigPath,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Where the model goes; else runs/NAME.safetensors.")
    ] = None,
    overrides: Overrides = None,
    data: Data = None,
    address: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Train one model on all candles and save it."""
    from crossgate.config import load_config
    from crossgate.job import train_job

    settings = load_config(config, overrides or (), data)
    with on_cluster(address):
        record = train_job(settings, out or Path("runs") / f"{settings.run.name}.safetensors", data)
    if as_json:
        _print_json(record)
    else:
        for symbol, trained in record["symbols"].items():
            print(f"{symbol}: trained on {trained['bars']:,} bars, through {trained['trained_through']} UTC")
        print(f"query it on later bars with: crossgate backtest {config} --set model.load={record['model']}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Two or more folders of runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="An HTML page with the curves overlaid.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs in a table and on one page."""
    from crossgate.summary import comparison_record, print_comparison
    from reports.comparison import compare as compare_runs

    comparison = compare_runs(*runs, out=out)
    if as_json:
        _print_json(comparison_record(comparison))
    else:
        print_comparison(comparison)


@app.command()
def skill(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folder of a run; more to compare with.")],
    retraining: Annotated[
        bool, typer.Option("--retraining", help="Train what is not kept, and say what retraining is worth.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run's forecasts were worth.

    With several runs also what their forecasts gained over each other's.
    """
    from crossgate.skill_command import print_runs, runs_record

    if as_json:
        _print_json(runs_record(runs, retraining, data))
    else:
        print_runs(runs, retraining, data)


# In the order of the help: what makes runs, what looks at them, what judges them.
app.command()(sweep_command.sweep)
app.command()(tune_command.tune)
app.command()(tune_model_command.tune_model)
run_commands.register(app)
app.command()(verdict_command.verdict)
app.command()(seal_command.seal)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Backtests LSTM signal strategies on leveraged crypto futures."""
    if show:
        import crossgate

        print(f"crossgate {crossgate.__version__}")
        raise typer.Exit


def _print_json(record: dict[str, Any]) -> None:
    print(json.dumps(record, indent=2, allow_nan=False))
