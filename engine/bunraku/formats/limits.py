"""The bounds that every reader here enforces; the core's flat-file reader has the same ones."""

from __future__ import annotations

MAX_CHANNELS = 256
MAX_KERNEL_SIZE = 256
MAX_DILATION = 65_536
MAX_LAYERS = 256
MAX_ARRAYS = 16
MAX_POST_HEAD_LAYERS = 16
MAX_RECEPTIVE_FIELD = 1 << 20
MAX_LSTM_HIDDEN = 256
MAX_LSTM_LAYERS = 8
MAX_LINEAR_TAPS = 1 << 17
MAX_SLIMMABLE_SIZES = 64
MAX_NESTING = 8
MAX_CHAIN_NODES = 64
MAX_RATE_CHANGES = 16
"""In a whole file: a change of rate is twenty bytes long and makes filters of up to 10 MB."""
MAX_HISTORY_FLOATS = 1 << 24
"""What one voice of a chain may remember: 64 MiB. The largest models in use need under one."""
MAX_PAYLOAD_BYTES = 64 << 20
MIN_SAMPLE_RATE_HZ = 8_000.0
MAX_SAMPLE_RATE_HZ = 384_000.0
MIN_GAIN_DB = -120.0
MAX_GAIN_DB = 60.0

MAX_NAM_BYTES = 32 << 20
MAX_JSON_DEPTH = 64
MAX_JSON_CONTAINERS = 100_000
MAX_PRESET_BYTES = 1 << 20
MAX_PRESET_DEPTH = 3
MAX_PRESET_FILES = 64
MAX_NAME_BYTES = 63
