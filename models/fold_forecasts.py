"""Fold forecasts: what a network says of the test of its fold, for each market of its job, made or kept."""

from __future__ import annotations

from collections.abc import Sequence

from models.cache import (
    FoldForecast,
    Job,
    forecast_key,
    keep_columns,
    keep_networks,
    kept_columns,
    kept_networks,
    network_keys,
)
from models.fitted import TrainedNetwork


def run_job(job: Job, keep: bool) -> list[FoldForecast]:
    """The forecasts of one fold by one network that is trained here, for each market; both are kept with `keep`.

    A training that was killed goes on from its checkpoint, where what it makes is kept.
    """
    from models.training import train_networks

    lead = job.parts[0]
    resume = job.network_key if keep else None
    networks = train_networks(job.rows, lead.scaling, lead.params, lead.seed, job.shared, resume, lead.before)
    if keep:
        keep_networks(job, networks)
    return ask_networks(job, networks, keep)


def kept_job(job: Job) -> list[FoldForecast] | None:
    """What `run_job` makes, from a network that is kept; None where it is not. New rows are asked, and kept."""
    networks = kept_networks(job)
    return None if networks is None else ask_networks(job, networks, keep=True)


def ask_networks(job: Job, networks: Sequence[TrainedNetwork], keep: bool) -> list[FoldForecast]:
    """What a network says of the test of its fold, for each market; with `keep` from the cache where it is there."""
    names = network_keys(job) if keep else [""] * len(networks)
    made = []
    for part, network, name in zip(job.parts, networks, names, strict=True):
        key = forecast_key(name, part) if keep else ""
        columns = kept_columns(key, part) if keep else None
        if columns is None:
            shown = part.shown
            columns = network.forecast(shown, network.fresh_state())[len(shown) - part.tested :]
            if keep and part.tested:
                keep_columns(key, columns)
        made.append(FoldForecast(columns, network))
    return made
