"""The bundled speech recording and portrait; see ATTRIBUTION.md beside them for who and whose."""

from __future__ import annotations

from pathlib import Path

SPEECH_PATH = Path(__file__).with_name("speech.flac")
"""Eight seconds of read English: mono, 48 kHz, peak -6 dBFS, nothing above 8 kHz."""

PORTRAIT_PATH = Path(__file__).with_name("portrait.jpg")
"""One person from the chest up, looking into the camera: 512x512, JPEG."""
