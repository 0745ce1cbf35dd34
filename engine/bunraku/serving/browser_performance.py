"""A performance whose devices are a browser's: the voice from its begin, a picture now and then."""

from __future__ import annotations

from collections.abc import Callable

from bunraku.errors import OverloadError, UserInputError
from bunraku.io.video_source import VideoSink, VideoSource
from bunraku.io.video_writer import VideoWriter
from bunraku.scheduler.process_scheduler import ProcessScheduler
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.codec_cost import CodecBudget, Pictures, codec_budget
from bunraku.session.control.effect_rack import EffectRack
from bunraku.session.video_session import VideoSession


class BrowserPerformance:
    """A `Performed`. The picture is opened and closed on the desk's thread. name: of the picture's
    session, unique in the process. codecs: where what its pictures take to decode and to encode is
    booked, None: the process's. on_message: as VideoSession has it."""

    def __init__(
        self,
        voice: BrowserVoice,
        *,
        scheduler: ProcessScheduler,
        name: str,
        on_message: Callable[[str], None],
        codecs: CodecBudget | None = None,
    ) -> None:
        self.voice = voice
        self.picture: VideoSession | None = None
        self._scheduler = scheduler
        self._name = name
        self._on_message = on_message
        self._codecs = codecs or codec_budget()

    def open_picture(self, rack: EffectRack, source: VideoSource, sink: VideoSink) -> None:
        """Start it with the effects of `rack` or, where they do not fit beside what runs, with none
        of them on. Raises what `VideoSession.start` raises, and OverloadError where even the bare
        picture is too much for the machine."""
        assert self.picture is None, "the last one was closed"
        self._codecs.book(self._name, Pictures(source.size, source.rate_hz))
        try:
            self._open(rack, source, sink)
        except BaseException:
            self._codecs.release(self._name)
            raise

    def _open(self, rack: EffectRack, source: VideoSource, sink: VideoSink) -> None:
        try:
            self.picture = self._session(rack, source, sink).__enter__()
        except OverloadError as error:
            rack.all_off()
            self.picture = self._session(rack, source, sink).__enter__()
            self._on_message(f"{error}. The picture goes on without effects")

    def _session(self, rack: EffectRack, source: VideoSource, sink: VideoSink) -> VideoSession:
        return VideoSession(
            source,
            rack.effects(),
            [sink],
            scheduler=self._scheduler,
            name=self._name,
            budget_s=rack.budget_s,
            lowest_tiers=rack.lowest_tiers,
            on_message=self._on_message,
        )

    def close_picture(self) -> None:
        picture, self.picture = self.picture, None
        if picture is None:
            return
        try:
            picture.stop()
        finally:
            self._codecs.release(self._name)

    def record(self, writer: VideoWriter) -> None:
        if self.picture is None:
            raise UserInputError("a recording begins with a picture: switch the camera on")
        self.picture.add_sink(writer)
        if writer.spec.sample_rate_hz is not None:
            self.voice.take(writer.write_audio)

    def stop_recording(self, writer: VideoWriter) -> None:
        self.voice.leave(writer.write_audio)
        if self.picture is not None:
            self.picture.remove_sink(writer)

    def close(self) -> None:
        """Idempotent."""
        self.close_picture()
        self.voice.close()
