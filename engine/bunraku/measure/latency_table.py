"""A live session's report as the rows of a table that people read."""

from __future__ import annotations

from bunraku.session.live_report import LiveReport, Quantiles


def latency_rows(report: LiveReport) -> list[tuple[str, str, str, str, str]]:
    """(name, p50, p99, p99.9, max) in milliseconds: the sum first, then its parts."""
    rows = [quantile_row("added latency", report.added_latency_ms)]
    rate = report.sample_rate_hz
    declared = report.declared
    for name, frames in (
        ("  declared: chain", declared.chain_frames),
        ("  declared: bridge to Python", declared.bridge_frames),
        ("  declared: Python effects", declared.effects_frames),
    ):
        if frames > 0 or name.endswith("chain"):
            rows.append(constant_row(f"{name} ({frames} frames)", 1e3 * frames / rate))
    if report.wake_up_ms is not None:
        rows.append(quantile_row("  measured: wake-up late by", report.wake_up_ms))
    rows.append(quantile_row("  measured: compute", report.compute_ms))
    rows.append(constant_row(f"one block ({report.block_frames} frames)", report.block_ms))
    device = report.device
    if device is not None:
        for label, value in (
            ("device says: input buffer", device.input_latency_ms),
            ("device says: output buffer", device.output_latency_ms),
        ):
            if value is not None:
                rows.append(constant_row(label, value))
        if device.round_trip_ms is not None:
            rows.append(quantile_row("device says: in to out", device.round_trip_ms))
    return rows


def count_rows(report: LiveReport) -> list[tuple[str, str]]:
    """(name, count): what happened, and how often something went wrong."""
    rows = [
        ("blocks", f"{report.blocks:,}"),
        ("misses (a block took longer than it lasts)", f"{report.misses:,}"),
        ("underflows (output not there in time)", f"{report.output_underflows:,}"),
        ("overflows (input lost)", f"{report.input_overflows:,}"),
    ]
    if report.bridge is not None:
        names = ", ".join(report.bridge.effects)
        rows.append((f"Python effects missed ({names})", f"{report.bridge.missed:,}"))
    for name, count in (
        ("clipped samples", report.clipped_samples),
        ("samples that were no number", report.non_finite_samples),
        ("frames missing in the recording", report.recording_dropped_frames),
        ("device losses", report.device.losses if report.device else 0),
    ):
        if count:
            rows.append((name, f"{count:,}"))
    return rows


def quantile_row(name: str, q: Quantiles) -> tuple[str, str, str, str, str]:
    return (name, *(f"{value:.2f}" for value in (q.p50, q.p99, q.p999, q.max)))  # type: ignore[return-value]


def constant_row(name: str, milliseconds: float) -> tuple[str, str, str, str, str]:
    return (name, f"{milliseconds:.2f}", "", "", "")
