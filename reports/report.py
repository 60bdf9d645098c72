"""The report: a run folder that holds a run whole, and the page about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from backtests.run.result import Result
from foundation.errors import ParameterError
from foundation.files import atomic_folder
from foundation.trials import TrialLedger
from reports.certainty import Certainty
from reports.findings import Findings, find
from reports.fingerprints import FILE as FINGERPRINTS
from reports.fingerprints import write_fingerprints
from reports.images import render_picture, render_png
from reports.interpretation_tables import TABLE as INTERPRETATION
from reports.interpretation_tables import interpretation_frame, interpretation_record
from reports.labels import FILE as LABELS
from reports.sealing import admit
from reports.settings import INPUTS, collect_settings, own_inputs, provenance
from reports.skill_tables import skill_record
from reports.stored_verdict import VERDICT, stored_verdict
from reports.tracks import TABLE, forecast_table

TABLES = ("decisions", "fills", "equity", "positions", "funding", "orders", "trades")
PDF = "report.pdf"
# What `crossgate verify` leaves beside a run; an earlier run's goes with it.
CERTIFICATE = "certificate.json"
FILES = (
    "config.toml", "metrics.json", "run.json", "trials.json", VERDICT, "equity.png", "equity.svg", "report.html",
    "report.md", FINGERPRINTS,
    *(f"{name}.parquet" for name in (*TABLES, TABLE)),
)  # fmt: skip
# What a folder holds where it was asked for.
OPTIONAL = (PDF, f"{INTERPRETATION}.parquet", CERTIFICATE, INPUTS)


def write_report(
    result: Result,
    folder: str | Path,
    *,
    baselines: Mapping[str, Result] | None = None,
    ledger: TrialLedger | None = None,
    pdf: bool = False,
    open_seal: bool = False,
    inputs: Mapping[str, bytes] | None = None,
    data: Path | None = None,
) -> Path:
    """The path of report.html in a run folder that is written whole or not at all.

    The folder holds config.toml, metrics.json, run.json (fingerprints and versions), trials.json, verdict.json, the
    tables of the run as parquet (interpretation.parquet where it was interpreted), equity.png, equity.svg,
    report.html and report.md, with `pdf` report.pdf, and fingerprints.json of all these; no time of day stands in
    any of them, so equal runs give equal bytes, apart from what trials.json, verdict.json and the page say of other
    trials, and their fingerprints. An earlier run in the folder is replaced, its labels stay. Raises ParameterError
    for a folder that holds anything else. `baselines`
    are run here when they are not handed in. The run is put down as a trial in the `ledger`, by default the one of
    `ledger_home`. A run that reaches into sealed data raises SealedError, but for one that opens the seal, or has
    done so. `inputs`: the content of small files that the config names, by their names in the folder, below inputs/; by
    default the source of a strategy written by hand.
    `data`: the data folder of the run, which run.json keeps as a hint for playing it again.
    """
    target, kept = check_folder(folder), ledger or TrialLedger()
    admit(result, kept, opening=open_seal)
    findings = find(result, baselines, kept)
    with atomic_folder(target) as scratch:
        _write_findings(findings, scratch, pdf=pdf, data=data)
        for name, content in (own_inputs(result) if inputs is None else inputs).items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_bytes(content)
        files = [path for path in scratch.rglob("*") if path.is_file()]
        write_fingerprints(scratch, [path.relative_to(scratch).as_posix() for path in files])
        if (target / LABELS).is_file():
            shutil.copy2(target / LABELS, scratch / LABELS)
    return target / "report.html"


def check_folder(folder: str | Path) -> Path:
    """The folder to write a run to, which must be new, empty or an earlier run."""
    target = Path(folder).expanduser().resolve()
    fix = "name a new folder, such as runs/first"
    if target.is_file():
        raise ParameterError("out", "is a file, not a folder", value=str(folder), fix=fix)
    around = next((one for one in target.parents if (one / FINGERPRINTS).is_file()), None)
    if around is not None:
        raise ParameterError("out", f"lies inside the run {around}", value=str(folder), fix=fix)
    if target.is_dir():
        strange = sorted(path.name for path in target.iterdir() if path.name not in (*FILES, *OPTIONAL, LABELS))
        if strange:
            raise ParameterError("out", f"holds {strange[0]}, which is no part of a run", value=str(folder), fix=fix)
    return target


def _write_findings(findings: Findings, folder: Path, *, pdf: bool, data: Path | None) -> None:
    result = findings.result
    certainty: Certainty = findings.certainty
    metrics = {**findings.metrics, "certainty": certainty.own_record(), "baselines": findings.baseline_metrics}
    metrics["forecasts"] = {one.skill.symbol: skill_record(one) for one in findings.evidence}
    metrics["retraining"] = {one.symbol: skill_record(one) for one in result.forecasts.worth}
    if interpretations := result.forecasts.interpretations:
        metrics["interpretation"] = {one.symbol: interpretation_record(one) for one in interpretations}
        interpretation_frame(interpretations).to_parquet(folder / f"{INTERPRETATION}.parquet", index=False)
    hint = {} if data is None else {"data": str(data)}
    (folder / "config.toml").write_text(tomli_w.dumps(collect_settings(result)), "utf-8")
    (folder / "metrics.json").write_text(write_json(metrics), "utf-8")
    (folder / "run.json").write_text(write_json({**provenance(result), **hint}), "utf-8")
    (folder / VERDICT).write_text(write_json(stored_verdict(findings)), "utf-8")
    (folder / "trials.json").write_text(write_json(certainty.trial_record()), "utf-8")
    for name in TABLES:
        table: pd.DataFrame = findings.trades if name == "trades" else getattr(result, name)
        table.to_parquet(folder / f"{name}.parquet", index=False)
    forecast_table(result).to_parquet(folder / f"{TABLE}.parquet", index=False)
    _write_documents(findings, folder, pdf=pdf)


def _write_documents(findings: Findings, folder: Path, *, pdf: bool) -> None:
    from reports.document import document_of
    from reports.figures import picture_of
    from reports.markdown import write_markdown
    from reports.page import render_page

    document = document_of(findings)
    picture = picture_of(findings.result, findings.curves)
    (folder / "equity.png").write_bytes(render_png(picture))
    (folder / "equity.svg").write_text(render_picture(picture), "utf-8")
    (folder / "report.html").write_text(render_page(findings, document), "utf-8")
    (folder / "report.md").write_text(write_markdown(document), "utf-8")
    if pdf:
        from reports.pdf import write_pdf

        (folder / PDF).write_bytes(write_pdf(document))


def write_json(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys, the same text for the same content; raises ValueError for NaN or infinity."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
