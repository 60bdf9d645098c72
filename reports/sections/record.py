"""Sections on what the run rests on: assumptions and settings."""

from __future__ import annotations

from reports import sentences, tables
from reports.findings import Findings
from reports.parts import Grids, Points, Section
from reports.settings import collect_settings


def assumptions(findings: Findings) -> Section:
    """What is assumed wherever the data do not say."""
    return Section("assumptions", "Assumptions", "What is assumed", [Points(sentences.assumptions(findings.result))])


def settings(findings: Findings) -> Section:
    """All settings, a small table for each table of the config."""
    shown = tables.settings_tables(collect_settings(findings.result))
    return Section("settings", "Settings", "Settings", [Grids(shown)])
