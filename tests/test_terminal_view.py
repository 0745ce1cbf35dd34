"""What plays, on a terminal of 80 columns and in a log."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rich")

from bunraku.cli import live_view, performance_view
from bunraku.cli.performance_view import PerformanceView
from bunraku.session.live_report import Quantiles
from rich.console import Console

VOICE = SimpleNamespace(
    seconds=12_345.6,
    blocks=2_222_222,
    misses=12_345,
    output_underflows=12_345,
    compute_ms=Quantiles(p99=12.34),
    block_ms=85.33,
    bridge=SimpleNamespace(missed=123_456),
)
PICTURE = SimpleNamespace(
    shown=1_234_567,
    on_time_share=1.0,
    latency_ms=Quantiles(p50=1234.0),
    rungs=12,
    rung=0,
)
REPORT: Any = SimpleNamespace(
    seconds=12_345.6,
    voice=VOICE,
    picture=PICTURE,
    sync=SimpleNamespace(skew_ms=-123.0),
)


@pytest.mark.parametrize("parts", [performance_view.summary(REPORT), live_view.summary(VOICE)])  # type: ignore[arg-type]
def test_each_part_fits_a_line(parts: list[str]) -> None:
    assert max(map(len, parts)) <= 80


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=terminal, highlight=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_narrow_terminal_cuts_lines_and_wraps_none() -> None:
    narrow = Console(file=io.StringIO(), width=30)
    narrow.print(PerformanceView("x").shown(SimpleNamespace(report=lambda: REPORT)))  # type: ignore[arg-type]
    assert len(written(narrow).splitlines()) == len(performance_view.summary(REPORT))


def test_in_a_log_a_line_stays_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    log = console(terminal=False)
    monkeypatch.setattr("rich.console.Console", lambda **settings: log)
    view = PerformanceView("a show")
    view._live = None
    view._line_at = 0.0
    with view, view.busy("opening ..."):
        pass
    view.tick(SimpleNamespace(report=lambda: REPORT))  # type: ignore[arg-type]
    title, opening, line = written(log).splitlines()
    assert (title, opening) == ("a show   Ctrl-C ends", "· opening ...")
    assert len(line) > 80


def test_on_a_terminal_a_spinner_stands_until_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = console(terminal=True)
    monkeypatch.setattr("rich.console.Console", lambda **settings: terminal)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    with PerformanceView("a show") as view:
        with view.busy("opening effects"):
            pass
        assert view._live is not None
        view._live.refresh()
        assert "opening effects" in written(terminal)
        view.tick(SimpleNamespace(report=lambda: REPORT))  # type: ignore[arg-type]
        view._live.refresh()
        assert "1,234,567 shown" in written(terminal)
