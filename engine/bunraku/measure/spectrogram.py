"""A picture of sound before and after: waveform and short-time spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bunraku.errors import MissingDependencyError, UserInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Signal = npt.NDArray[np.float32]

FLOOR_DB = -90.0
LEAST_HZ = 60.0


def short_time_spectrum_db(
    signal: Signal, *, window_frames: int = 2048, hop_frames: int = 512
) -> npt.NDArray[np.float64]:
    """Levels `[2 x window_frames + 1, steps]` in dB of a full-scale sine, by a Hann window, padded
    to four times its length so that the low bins draw smoothly.

    `signal`: float32 `[frames]`; step k is centred on frame `k x hop_frames`.
    """
    padded = np.pad(np.asarray(signal, np.float64), window_frames // 2)
    padded = np.pad(padded, (0, max(0, window_frames - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_frames)[::hop_frames]
    window = np.hanning(window_frames + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(frames * window, n=4 * window_frames, axis=1)).T * (
        2.0 / window.sum()
    )
    levels: npt.NDArray[np.float64] = 20.0 * np.log10(np.maximum(spectrum, 1e-12))
    return levels


def save_before_after(
    path: str | Path,
    before: Signal,
    after: Signal,
    *,
    sample_rate_hz: int,
    title: str,
    most_hz: float = 16_000.0,
) -> None:
    """Write a PNG with waveforms and spectrograms of two mono signals on one time axis.

    Raises UserInputError when there is nothing to draw, MissingDependencyError without matplotlib.
    """
    if len(before) == 0 or len(after) == 0:
        raise UserInputError("nothing was played, so there is no spectrogram to draw")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "pictures need the package 'matplotlib': pip install 'bunraku[cli]'"
        ) from error
    figure = Figure(figsize=(12, 7.2), dpi=120, facecolor=INK, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        2, 3, sharex="col", gridspec_kw={"width_ratios": [30, 30, 1], "height_ratios": [1, 3.2]}
    )
    highest_hz = min(most_hz, sample_rate_hz / 2)
    image: Any = None
    for column, (name, signal) in enumerate((("before", before), ("after", after))):
        draw_waveform(grid[0, column], signal, sample_rate_hz, name)
        image = draw_spectrum(grid[1, column], signal, sample_rate_hz, highest_hz)
    grid[1, 1].set_ylabel("")
    grid[0, 1].set_ylabel("")
    grid[0, 2].set_axis_off()
    bar = figure.colorbar(image, cax=grid[1, 2])
    bar.set_label("dB of full scale", color=CHALK)
    bar.ax.tick_params(colors=CHALK)
    bar.outline.set_visible(False)
    figure.suptitle(title, color=CHALK, fontsize=14, fontweight="bold")
    figure.savefig(Path(path))


def save_aligned(
    path: str | Path,
    before: Signal,
    after: Signal,
    *,
    late_frames: int,
    sample_rate_hz: int,
    title: str,
) -> None:
    """As `save_before_after`, of a session's input and output `[frames, channels]`: their means,
    the output's lateness taken out. Raises what that raises."""
    late = min(late_frames, max(0, len(after) - 1))
    save_before_after(
        path,
        before[: len(before) - late].mean(axis=1),
        after[late:].mean(axis=1),
        sample_rate_hz=sample_rate_hz,
        title=title,
    )


INK, CHALK, LINE = "#12141c", "#e8e6df", "#f2a65a"


def draw_waveform(axes: Axes, signal: Signal, sample_rate_hz: int, name: str) -> None:
    """Lowest and highest sample of each of at most 2,000 stretches: a peak never falls between."""
    stretch = max(1, len(signal) // 2000)
    whole = signal[: len(signal) // stretch * stretch].reshape(-1, stretch)
    seconds = np.arange(len(whole)) * stretch / sample_rate_hz
    axes.fill_between(seconds, whole.min(axis=1), whole.max(axis=1), color=LINE, linewidth=0.4)
    axes.set_ylim(-1.05, 1.05)
    axes.set_title(name, color=CHALK, fontsize=12)
    axes.set_ylabel("amplitude", color=CHALK)
    style(axes)


def draw_spectrum(axes: Axes, signal: Signal, sample_rate_hz: int, highest_hz: float) -> Any:
    hop = max(256, len(signal) // 1500)
    levels = short_time_spectrum_db(signal, hop_frames=hop)
    bins_hz = np.linspace(0.0, sample_rate_hz / 2, levels.shape[0])
    shown = (bins_hz >= LEAST_HZ / 2) & (bins_hz <= highest_hz)
    image = axes.pcolormesh(
        np.arange(levels.shape[1]) * hop / sample_rate_hz,
        bins_hz[shown],
        levels[shown],
        vmin=FLOOR_DB,
        vmax=-15.0,
        cmap="magma",
        shading="nearest",
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylim(LEAST_HZ, highest_hz)
    ticks = [t for t in (100, 200, 500, 1000, 2000, 5000, 10_000) if t <= highest_hz]
    axes.set_yticks(ticks, [f"{t / 1000:g}k" if t >= 1000 else f"{t}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(0.0, len(signal) / sample_rate_hz)
    axes.set_xlabel("seconds", color=CHALK)
    axes.set_ylabel("Hz", color=CHALK)
    style(axes)
    return image


def style(axes: Axes) -> None:
    axes.set_facecolor("black" if axes.get_yscale() == "log" else INK)
    axes.tick_params(colors=CHALK, labelsize=9)
    for side in axes.spines.values():
        side.set_visible(False)
