"""A folder of small performance presets that need no device, for tests of what moves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 48_000
TONE_HZ = 480
TONE_PEAK = 0.5
VOICE = """
[voice]
model = "{model}.chain.toml"
source = {{ type = "file", file = "tone.wav", loop = true }}
sink = {{ type = "none" }}
effects = [{effects}]
"""
PICTURE = """
[picture]
source = { type = "test", width = 160, height = 120 }
latency_ms = 500.0
"""
EFFECTS = {
    "loud": '[[picture.effect]]\ntype = "colour_look"\nlook = "golden"\n',
    "quiet": '[[picture.effect]]\ntype = "colour_look"\nlook = "cinema"\nstrength = 0.5\n',
}
GAINS_DB = {"loud": -3.0, "quiet": -6.0}


def write_presets(
    folder: Path, effects: dict[str, str] | None = None, picture: bool = True
) -> Path:
    """`loud.toml` and `quiet.toml`, which differ in gain and look, beside their files. effects: of
    the voice, written in Python, as TOML text. The path of the first."""
    times = np.arange(RATE_HZ) / RATE_HZ
    tone = (TONE_PEAK * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.float32)
    soundfile.write(folder / "tone.wav", tone, RATE_HZ, subtype="FLOAT")
    for name, gain_db in GAINS_DB.items():
        chain = f'[[effect]]\ntype = "gain"\ngain_db = {gain_db}\n'
        (folder / f"{name}.chain.toml").write_text(chain)
        text = VOICE.format(model=name, effects=(effects or {}).get(name, ""))
        if picture:
            text += PICTURE + EFFECTS[name]
        (folder / f"{name}.toml").write_text(f'name = "{name}"\n{text}')
    return folder / "loud.toml"
