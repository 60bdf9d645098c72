"""The command `crossgate tune-model`: other sizes, lengths, rates and features, judged before the first test."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossgate.options import AsJson, Cluster, ConfigPath, Data, Overrides, Yes, searching

if TYPE_CHECKING:
    from models.model_search import ModelSearch


def tune_model(
    config: ConfigPath,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="How many settings to try in all.", min=1)] = 50,
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            metavar="MODEL.KEY=RANGE",
            help="Such as model.hidden=16,32,64, model.burn_in=0:64 or model.learning_rate=0.003:0.1:log; only what is "
            "named is varied, beside the features. Else hidden, layers, chunk, burn_in, learning_rate and dropout.",
        ),
    ] = None,
    overrides: Overrides = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A TOML file for the best settings.")
    ] = None,
    yes: Yes = False,
    address: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Search for settings of the model, before the first test.

    Trials are judged on inner validation folds. Where a search was interrupted the same command goes on.
    """
    from models.model_search import MOST_TRIALS

    with searching(address, "the trials that are there"):
        found = tune_model_job(config, trials, space or [], overrides or (), data, out, None if yes else MOST_TRIALS)
    if as_json:
        typer.echo(json.dumps(search_record(found), indent=2, allow_nan=False))
        return
    typer.echo(str(found))
    typer.echo(f"trials on this data in the ledger: {found.trials:,}")
    if out is not None:
        typer.echo(f"best settings: {out}")


def tune_model_job(
    config: Path, trials: int, space: list[str], overrides: Any = (), data: Path | None = None, out: Path | None = None,
    most: int | None = None,
) -> ModelSearch:  # fmt: skip
    """The search that a config asks for, over a `space` of its own or that one; its best settings in the TOML `out`.

    More than `most` trials are refused; None tries any number.
    Raises ParameterError or DataError before any model trains for what can be checked before.
    """
    import crossgate as cg
    from crossgate.config import load_config
    from crossgate.job import check_ledger, check_reach, load_markets
    from foundation.errors import ParameterError
    from foundation.files import atomic_file
    from foundation.trials import TrialLedger
    from models.search_parameters import read_model_space

    words = read_model_space(space)
    settings = load_config(config, overrides, data)
    search = settings.model_search.replaced(space=words) if words else settings.model_search
    if settings.model.load is not None:
        raise ParameterError("model.load", "is trained already", value=settings.model.load, fix="leave it out")
    if out is not None:
        check_reach(out)
    check_ledger(TrialLedger())
    found = cg.tune_model(
        load_markets(settings, data), settings.model.lstm, settings.features,
        walk=settings.walk_forward, search=search, trials=trials, seed=settings.run.seed, most=most,
    )  # fmt: skip
    if out is not None:
        with atomic_file(out.expanduser()) as scratch:
            scratch.write_text(found.toml(), "utf-8")
    return found


def search_record(found: ModelSearch) -> dict[str, Any]:
    """A search as JSON can hold it: what is not defined is null."""
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in found.table.to_dict("records")]
    lead = {**found.lead._asdict(), "selection": found.lead.selection}
    best = {"model": found.model.model_dump(mode="json"), "features": found.features.model_dump(mode="json")}
    return {"trials": rows, "ledger_trials": found.trials, "lead": lead, "best": best, "toml": found.toml()}


def _plain(value: Any) -> Any:
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
