"""What flows and what remembers: audio blocks, streaming modules and their state.

`AudioBlock` needs numpy alone; `bunraku.streaming.module` needs torch and is imported by its name.
"""

from bunraku.streaming.audio_block import AudioBlock

__all__ = ["AudioBlock"]
