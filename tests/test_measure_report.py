"""The HTML report and the command line of `bunraku measure`."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("typer")

from bunraku.cli.main import run
from bunraku.errors import UserInputError
from bunraku.measure.html_report import write_html
from bunraku.measure.html_report_plots import (
    LINE_PX,
    MOST_POINTS,
    Axis,
    histogram_svg,
    shown_points,
    timeline_svg,
)
from bunraku.measure.latency_series import LatencySeries

SERIES = LatencySeries.of([(k / 4, 20.0 + (k * k) % 7) for k in range(80)])
STEADY = LatencySeries.of([(1.0, 5.0)])


class Balance(HTMLParser):
    """Every tag that opens also closes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def write(path: Path, series: LatencySeries = SERIES, **more: object) -> str:
    write_html(
        path,
        title="Sound <how> late",
        subtitle="a & b",
        series=series,
        rows={"latency": series.figures()},
        facts={"model": "<script>alert(1)</script>"},
        notes=("mind this",),
        **more,  # type: ignore[arg-type]
    )
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("series", [SERIES, STEADY])
def test_the_page_is_whole_and_needs_nothing(tmp_path: Path, series: LatencySeries) -> None:
    page = write(tmp_path / "r.html", series)
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r"https?:|<script|src=|url\(|nan", page)
    assert "Sound &lt;how&gt; late" in page
    assert "mind this" in page


@pytest.mark.parametrize("series", [SERIES, STEADY])
def test_plots_hold_every_value(series: LatencySeries) -> None:
    timeline = ElementTree.fromstring(timeline_svg(series, series.figures()))
    assert len(timeline.findall("circle")) == len(series.latencies_ms)
    histogram = ElementTree.fromstring(histogram_svg(series, series.figures()))
    titles = [bar.findtext("title") or "" for bar in histogram.findall("rect")]
    assert sum(int(title.rsplit(" ", 1)[1]) for title in titles) == len(series.latencies_ms)


@pytest.mark.parametrize("most", [1, 40, 100, 333])
def test_a_unit_stands_clear_of_the_numbers_below_it(most: int) -> None:
    series = LatencySeries.of([(k / 10, 5.0 + (k % most == 0)) for k in range(2 * most)])
    for plot in (histogram_svg(series, series.figures()), timeline_svg(series, series.figures())):
        marks = [text for text in ElementTree.fromstring(plot).findall("text")]
        unit = min(float(mark.attrib["y"]) for mark in marks if mark.get("class") == "unit")
        left = [m for m in marks if m.get("class") == "tick" and m.get("text-anchor") == "end"]
        assert min(float(mark.attrib["y"]) for mark in left) - unit >= LINE_PX


def test_the_range_stands_beside_the_jitter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "r.html"
    words = ["measure", "loopback", "--paced", "--seconds", "2"]
    with pytest.raises(SystemExit):
        run([*words, "--html", str(html)])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert re.search(r"jitter [\d.]+ from [\d.]+ to [\d.]+ ms", said)
    page = html.read_text()
    assert "<span>min, ms</span>" in page
    assert "compare min and max" in page


def test_many_points_keep_the_greatest() -> None:
    values = [1.0] * 50_000
    values[12_345] = 99.0
    chosen = shown_points(values)
    assert 12_345 in chosen
    assert len(chosen) <= MOST_POINTS + 100


def test_ticks_are_round() -> None:
    assert Axis(0.0, 10.0, 0, 1).ticks(5) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert Axis(5.43, 5.47, 0, 1).ticks(4) == pytest.approx([5.43, 5.44, 5.45, 5.46, 5.47])


def test_no_file_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write(path)
    with pytest.raises(UserInputError, match="--force"):
        write(path)
    write(path, overwrite=True)
    with pytest.raises(UserInputError, match="does not exist"):
        write(tmp_path / "none" / "r.html")
    with pytest.raises(UserInputError, match="nothing was measured"):
        write(tmp_path / "s.html", LatencySeries.of([]))


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    html = tmp_path / "glass.html"
    with pytest.raises(SystemExit) as ended:
        run(["measure", "glass", "--test", "--seconds", "1", "--json", "--html", str(html)])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == {"html": str(html)}
    assert html.read_text().startswith("<!doctype html>")
    with pytest.raises(SystemExit) as ended:
        run(["measure", "loopback", "--paced", "--seconds", "2"])
    assert ended.value.code == 0
    assert "declared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("glass --test --camera 0", "exclude each other"),
        ("glass painted --window", "leave out those options"),
        ("glass --filmed --test", "--camera alone"),
        ("loopback --paced --seconds 0", "seconds is 0"),
        ("loopback --paced -m no_such", "no_such"),
        ("loopback --paced --html /no/such/folder/x.html", "does not exist"),
    ],
)
def test_wrong_words_are_refused(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["measure", *words.split()])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
