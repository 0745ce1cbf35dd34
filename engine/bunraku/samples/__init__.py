"""The bundled speech recording; see ATTRIBUTION.md beside it for speaker and licence."""

from __future__ import annotations

from pathlib import Path

SPEECH_PATH = Path(__file__).with_name("speech.flac")
"""Eight seconds of read English: mono, 48 kHz, peak -6 dBFS, nothing above 8 kHz."""
