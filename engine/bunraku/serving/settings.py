"""What `bunraku serve` was started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bunraku.errors import UserInputError
from bunraku.serving.access import AccessRules, is_loopback, token_for
from bunraku.serving.limits import MOST_SESSIONS
from bunraku.serving.preset_shelf import PresetShelf

DEFAULT_PORT = 8470
DEFAULT_SESSIONS = 4


@dataclass(frozen=True)
class ServeSettings:
    """server_devices: the preset's own camera and microphone are played on the server, and pages
    only look on and control. certificate, key: PEM files; with them the page comes by HTTPS."""

    host: str
    port: int
    token: str | None
    shelf: PresetShelf
    max_sessions: int = DEFAULT_SESSIONS
    recordings: Path | None = None
    host_names: frozenset[str] = frozenset()
    server_devices: bool = False
    certificate: Path | None = None
    certificate_key: Path | None = None

    @property
    def loopback_only(self) -> bool:
        return is_loopback(self.host)

    @property
    def rules(self) -> AccessRules:
        return AccessRules(self.port, self.token, self.loopback_only, self.host_names)

    @property
    def address(self) -> str:
        """To open in a browser."""
        scheme = "https" if self.certificate is not None else "http"
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        token = f"/?token={self.token}" if self.token is not None else "/"
        return f"{scheme}://{host}:{self.port}{token}"


def serve_settings(
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    token: str | None = None,
    preset: Path | None = None,
    presets: Path | None = None,
    max_sessions: int = DEFAULT_SESSIONS,
    recordings: Path | None = None,
    host_names: tuple[str, ...] = (),
    server_devices: bool = False,
    certificate: Path | None = None,
    certificate_key: Path | None = None,
) -> ServeSettings:
    """Checked. Raises UserInputError that names the value and the remedy, OSError."""
    if not 1 <= max_sessions <= MOST_SESSIONS:
        raise UserInputError(f"--max-sessions is {max_sessions}: use 1 to {MOST_SESSIONS}")
    if not 0 < port <= 65_535:
        raise UserInputError(f"--port is {port}: use 1 to 65535")
    if recordings is not None:
        recordings = folder_for(recordings)
    if server_devices and preset is None:
        raise UserInputError("--server-devices plays a preset's own camera: name the preset")
    if (certificate is None) != (certificate_key is None):
        raise UserInputError("--certificate and --certificate-key belong together: give both")
    return ServeSettings(
        host=host,
        port=port,
        token=token_for(host, token),
        shelf=PresetShelf(preset, presets),
        max_sessions=max_sessions,
        recordings=recordings,
        host_names=frozenset(name.lower() for name in host_names),
        server_devices=server_devices,
        certificate=certificate,
        certificate_key=certificate_key,
    )


def folder_for(recordings: Path) -> Path:
    """Made where there is none. Raises UserInputError."""
    try:
        recordings.mkdir(exist_ok=True)
    except OSError as error:
        raise UserInputError(
            f"no folder {recordings} ({error.strerror}): correct --recordings"
        ) from error
    return recordings
