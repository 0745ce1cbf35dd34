"""What Prometheus may read at /metrics. A registry of our own: one server, one set of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bunraku.errors import MissingDependencyError
from bunraku.streaming.audio_block import NS_PER_S

AUDIO_BUCKETS_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
VIDEO_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.066, 0.1, 0.15, 0.3)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def prometheus() -> Any:
    """Raises MissingDependencyError with the remedy."""
    try:
        import prometheus_client
        import prometheus_client.core
    except ImportError as error:
        raise MissingDependencyError(
            f"/metrics needs the package 'prometheus-client' ({error}): pip install 'bunraku[web]'"
        ) from error
    return prometheus_client


class ServeMetrics:
    """Any thread. desks: the figures of all sessions now, as `page_state.figures` gives them."""

    def __init__(self, desks: Callable[[], list[dict[str, Any]]]) -> None:
        self._client = prometheus()
        self._desks = desks
        self.registry = self._client.CollectorRegistry()
        self._blocks = self._histogram("audio_block", "time to transform a block", AUDIO_BUCKETS_S)
        self._frames = self._histogram(
            "video_latency", "a frame's capture to its hand-over to the encoder", VIDEO_BUCKETS_S
        )
        self._misses = self._counter("audio_misses", "blocks that took longer than they last")
        self._late = self._counter("video_late", "frames handed over after their budget")
        self._faults = self._counter("faulty_messages", "malformed, or more than the rate allows")
        self._refused = self._counter("refused_sessions", "because as many as allowed were open")
        self.registry.register(_NowCollector(self._client, desks))

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Any:
        return self._client.Histogram(
            f"bunraku_{name}_seconds", text, buckets=buckets, registry=self.registry
        )

    def _counter(self, name: str, text: str) -> Any:
        return self._client.Counter(f"bunraku_{name}", text, registry=self.registry)

    def count_block(self, spent_ns: int, missed: bool) -> None:
        self._blocks.observe(spent_ns / NS_PER_S)
        if missed:
            self._misses.inc()

    def count_frame(self, latency_ns: int, budget_ns: int) -> None:
        self._frames.observe(latency_ns / NS_PER_S)
        if latency_ns > budget_ns:
            self._late.inc()

    def count_fault(self) -> None:
        self._faults.inc()

    def count_refused(self) -> None:
        self._refused.inc()

    def text(self) -> bytes:
        written: bytes = self._client.generate_latest(self.registry)
        return written


class _NowCollector:
    """What is so at the moment of reading, over all open sessions."""

    def __init__(self, client: Any, desks: Callable[[], list[dict[str, Any]]]) -> None:
        self._client = client
        self._desks = desks

    def collect(self) -> Iterable[Any]:
        gauge = self._client.core.GaugeMetricFamily
        desks = self._desks()
        pictures = [desk["picture"] for desk in desks if desk["picture"] is not None]
        yield gauge("bunraku_sessions", "open sessions", value=len(desks))
        yield gauge("bunraku_cameras", "sessions with a picture", value=len(pictures))
        yield gauge(
            "bunraku_video_dropped_frames",
            "of the open sessions: replaced by newer ones or skipped",
            value=sum(picture["dropped"] for picture in pictures),
        )
        yield gauge(
            "bunraku_audio_lost_blocks",
            "of the open sessions: blocks that never came",
            value=sum(desk["voice"]["lost"] for desk in desks),
        )
        tiers = gauge(
            "bunraku_effect_sessions", "sessions by effect and tier", labels=["effect", "tier"]
        )
        counts: dict[tuple[str, str], int] = {}
        for picture in pictures:
            for effect in picture["effects"]:
                key = effect["name"], effect["tier"]
                counts[key] = counts.get(key, 0) + 1
        for key, count in counts.items():
            tiers.add_metric(list(key), count)
        yield tiers
        for medium, recent in self._recent(desks):
            quantiles = gauge(
                f"bunraku_{medium}_recent_seconds",
                "the slowest session's, over the last two seconds",
                labels=["quantile"],
            )
            for quantile, name in (("0.5", "p50"), ("0.99", "p99")):
                worst = max((figures[name] for figures in recent), default=0.0)
                quantiles.add_metric([quantile], worst / 1e3)
            yield quantiles

    @staticmethod
    def _recent(desks: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
        return [
            ("audio", [desk["voice"]["run"] for desk in desks]),
            ("video", [desk["picture"]["recent"] for desk in desks if desk["picture"]]),
        ]
