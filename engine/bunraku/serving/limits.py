"""What a visitor may ask of the server; everything that comes in is held against these."""

from __future__ import annotations

MOST_SDP_BYTES = 64 << 10
MOST_MESSAGE_BYTES = 96 << 10
"""Of any WebSocket message; a longer one ends its connection."""
MOST_FAULTS = 1000
"""Malformed messages after which a connection is closed."""

CONTROL_MESSAGES_PER_S, CONTROL_BURST = 60.0, 240
AUDIO_MESSAGES_PER_S, AUDIO_BURST = 1600.0, 3200
"""192 kHz in blocks of 128 frames; the burst is what piles up in a stall of two seconds."""

LEAST_AUDIO_FRAMES, MOST_AUDIO_FRAMES = 128, 1024
LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 192_000

MOST_EFFECTS = 16
MOST_SETTINGS = 32
MOST_WIDTH, MOST_HEIGHT = 1920, 1080
LEAST_SIDE = 96
MOST_FRAME_RATE_HZ = 60.0

LEAST_TOKEN_CHARACTERS = 16
MOST_SESSIONS = 64
MOST_RECORDING_S = 4 * 3600.0
MOST_WAITING_MESSAGES = 64
"""To a visitor that does not read; older figures are then left out."""
