"""A measurement as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from bunraku import __version__
from bunraku.errors import MediaError, UserInputError
from bunraku.measure.html_report_plots import histogram_svg, number, timeline_svg
from bunraku.measure.latency_series import LatencyFigures, LatencySeries

STYLE = """
:root { --paper: #12141c; --sheet: #1a1d28; --ink: #e8e6df; --quiet: #8f93a3; --line: #2b2f3d;
  --calm: #7fb8d6; --warm: #f2a65a; --hot: #e5636a; }
@media (prefers-color-scheme: light) { :root { --paper: #f5f3ee; --sheet: #fff; --ink: #1c1e26;
  --quiet: #6c7080; --line: #e2dfd7; --calm: #2f7ea6; --warm: #c8741c; --hot: #c23b44; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { font-size: 26px; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 15px; font-weight: 600; margin: 0 0 12px; }
.path { color: var(--quiet); margin: 6px 0 28px; }
section { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px;
  padding: 20px; margin: 0 0 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 12px;
  margin: 0 0 18px; }
.tile { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px;
  padding: 14px 16px; }
.tile b { display: block; font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 10px; border-top: 1px solid var(--line); }
tr:first-child > * { border-top: 0; }
th { color: var(--quiet); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.facts td:last-child { text-align: left; width: 66%; }
.note { border-left: 4px solid var(--warm); }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
.bar { fill: var(--warm); opacity: .82; } .dot { fill: var(--warm); opacity: .75; }
.grid { stroke: var(--line); } .base { stroke: var(--quiet); }
.mark { stroke-width: 1.4; stroke-dasharray: 5 4; }
.tick, .unit { fill: var(--quiet); }
footer { color: var(--quiet); font-size: 13px; }
"""
HEADINGS = ("min", "p50", "p95", "p99", "max", "jitter")


def write_html(
    path: Path,
    *,
    title: str,
    subtitle: str,
    series: LatencySeries,
    rows: Mapping[str, LatencyFigures],
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """rows: quantiles by name, the first those of `series`. Raises UserInputError where a file is
    there already or nothing was measured, MediaError where none can be made."""
    if not series.latencies_ms:
        raise UserInputError("nothing was measured, so there is no report to write")
    check_html(path, overwrite)
    page = html_page(title, subtitle, series, rows, facts, notes)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise MediaError(
            f"{path}: cannot be written ({error.strerror}); choose a folder of yours"
        ) from error


def check_html(path: Path, overwrite: bool) -> None:
    """Before the measurement, which is long: raises UserInputError where `path` is taken."""
    if path.exists() and (not overwrite or not path.is_file()):
        raise UserInputError(
            f"{path} exists and is not overwritten; choose another, or use --force"
        )
    if not path.parent.is_dir():
        raise UserInputError(f"{path}: the folder {path.parent} does not exist; make it first")


def html_page(
    title: str,
    subtitle: str,
    series: LatencySeries,
    rows: Mapping[str, LatencyFigures],
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    figures = next(iter(rows.values()))
    body = [
        f"<h1>{escape(title)}</h1><p class='path'>{escape(subtitle)}</p>",
        tiles(figures),
        *(f"<section class='note'>{escape(note)}</section>" for note in notes),
        f"<section><h2>Latency over time</h2>{timeline_svg(series, figures)}</section>",
        f"<section><h2>Distribution</h2>{histogram_svg(series, figures)}</section>",
        f"<section><h2>Quantiles, ms</h2>{quantile_table(rows)}</section>",
        f"<section><h2>What was measured</h2>{fact_table(facts)}</section>",
        f"<footer>bunraku {escape(__version__)} · {datetime.now(UTC):%Y-%m-%d %H:%M} UTC · jitter"
        " is p99 less p50, which a drift escapes: compare min and max</footer>",
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def tiles(figures: LatencyFigures) -> str:
    cells = [
        f"<div class='tile'><b>{number(getattr(figures, name))}</b><span>{name}, ms</span></div>"
        for name in HEADINGS
    ]
    return f"<div class='tiles'>{''.join(cells)}</div>"


def quantile_table(rows: Mapping[str, LatencyFigures]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", *HEADINGS, "count"))
    lines = [
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{getattr(figures, key):.3f}</td>" for key in HEADINGS)
        + f"<td>{figures.count}</td></tr>"
        for name, figures in rows.items()
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def fact_table(facts: Mapping[str, str]) -> str:
    lines = [
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts.items()
    ]
    return f"<table class='facts'>{''.join(lines)}</table>"


def machine_facts(processor: str) -> dict[str, str]:
    """The machine, and how busy it was."""
    facts = {
        "processor": f"{processor}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    if hasattr(os, "getloadavg"):
        facts["load average (1 min)"] = f"{os.getloadavg()[0]:.1f}"
    return facts
