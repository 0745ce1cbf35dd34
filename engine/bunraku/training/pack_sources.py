"""What the default pack is made from: pinned speech packages and the circuits it learns.

Speech comes from Debian packages by name, version and SHA-256; circuits are guitarix LV2 plugins
rendered offline by `lv2proc`. No media is kept in the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PLUGIN_PREFIX = "http://guitarix.sourceforge.net/plugins/"
PLUGIN_PACKAGE = "guitarix-lv2 0.44.1+dfsg1-2"
HOST_PACKAGE = "lv2proc 0.5.1-1"


@dataclass(frozen=True)
class SpeechPackage:
    """One speaker's prompts in a Debian package; 16 kHz G.722."""

    language: str
    version: str
    sha256: str
    folder: str
    """Where the prompts lie inside the package."""
    speaker: str
    licence: str
    held_out: bool = False
    """True: this speaker is heard in the test only."""

    @property
    def name(self) -> str:
        return f"asterisk-core-sounds-{self.language}-g722"


SPEECH: tuple[SpeechPackage, ...] = (
    SpeechPackage(
        "en", "1.6.1-1", "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        "en_US_f_Allison", "Allison Smith", "CC-BY-SA-3.0",
    ),
    SpeechPackage(
        "es", "1.6.1-1", "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
        "es_MX_f_Allison", "Allison Smith", "CC-BY-SA-3.0",
    ),
    SpeechPackage(
        "it", "1.6.1-1", "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
        "it_IT_m_Carlo", "Carlo Flora", "CC-BY-3.0",
    ),
    SpeechPackage(
        "ru", "1.6.1-1", "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
        "ru_RU_f_IvrvoiceRU", "ivrvoice.ru (Maxim Topal)", "CC-BY-3.0",
    ),
    SpeechPackage(
        "fr", "1.6.1-1", "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        "fr_CA_f_June", "June Wallack", "CC-BY-SA-3.0", held_out=True,
    ),
)  # fmt: skip

EXCLUDED_PROMPTS = frozenset({"demo-echotest"})
"""The bundled sample comes from this prompt: nothing is trained or tested on it."""


@dataclass(frozen=True)
class Circuit:
    """One effect of the pack: a plugin with its settings, and the network that learns it."""

    name: str
    title: str
    plugin: str
    """The plugin's URI after `PLUGIN_PREFIX`."""
    architecture: str
    use: str
    """What a streamer would use it for, in one sentence."""
    controls: Mapping[str, float] = field(default_factory=dict)
    input_gain_db: float = 0.0
    """Gain before the circuit; part of the effect."""
    limits: str = ""
    """What its plots show to be wrong, for the model card."""

    @property
    def uri(self) -> str:
        return PLUGIN_PREFIX + self.plugin


CIRCUITS: tuple[Circuit, ...] = (
    Circuit(
        "radio",
        "Tube Screamer style overdrive",
        "gxts9#ts9sim",
        "lite",
        "A voice over a small radio or intercom: thin in the bass, gritty in the middle.",
        {"fslider2_": 0.7, "fslider1_": 500, "fslider0_": -6},
    ),
    Circuit(
        "tape",
        "Tape machine driven hard, its wow, flutter and hiss at zero",
        "gxtape#tape",
        "lite",
        "Thickens a thin voice and rounds its peaks, as a tape recorder does: leave it on.",
        {"wowdepth": 0, "flutdepth": 0, "hiss": 0, "drive": 1, "gain": 0.04},
        input_gain_db=-3.0,
        limits="The rare loudest peaks come out up to a quarter too low.",
    ),
    Circuit(
        "megaphone",
        "Screaming Bird treble booster",
        "gx_scream_#_scream_",
        "lite",
        "Shouting through a megaphone: no bass, hard and bright.",
        {"SCREAM": 0.5},
    ),
    Circuit(
        "fuzz",
        "Fuzz Face, two germanium transistors",
        "gx_fuzzface_#_fuzzface_",
        "lite",
        "A villain or a broken robot: the voice saturates and crackles.",
        {"FUZZ": 0.3},
    ),
)
"""The circuits of the default pack."""
