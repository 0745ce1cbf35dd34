"""What flows and what remembers: audio blocks, video frames, streaming modules and their state.

`AudioBlock`, `VideoFrame` and `Mailbox` need numpy alone; `bunraku.streaming.module` needs torch
and is imported by its name.
"""

from bunraku.streaming.audio_block import AudioBlock
from bunraku.streaming.mailbox import Mailbox
from bunraku.streaming.video_frame import VideoFrame

__all__ = ["AudioBlock", "Mailbox", "VideoFrame"]
