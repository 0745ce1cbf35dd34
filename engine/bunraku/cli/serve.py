"""`bunraku serve`: a page that makes a browser camera, microphone, screen and control desk."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    preset: Path | None = typer.Argument(
        None, help="What visitors begin with: a performance preset (.toml), or a name."
    ),
    host: str = typer.Option("127.0.0.1", "--host", help="Beyond loopback a token is demanded."),
    port: int = typer.Option(8470, "--port"),
    token: str | None = typer.Option(
        None, "--token", help="Demanded of every visitor; one is made where it is needed."
    ),
    max_sessions: int = typer.Option(4, "--max-sessions", help="Open tabs at a time, 1 to 64."),
    recordings: Path | None = typer.Option(
        None, "--recordings", help="A folder: the page then has a record button."
    ),
    presets: Path | None = typer.Option(
        None, "--presets", help="A folder of presets to offer besides those that come along."
    ),
    server_devices: bool = typer.Option(
        False, "--server-devices", help="Play the preset's own camera and microphone, here."
    ),
    allow_host: list[str] = typer.Option(
        [], "--allow-host", help="A name under which browsers may reach this machine; repeatable."
    ),
    certificate: Path | None = typer.Option(
        None, "--certificate", help="PEM: the page by HTTPS, which cameras need beyond loopback."
    ),
    certificate_key: Path | None = typer.Option(None, "--certificate-key", help="PEM, its key."),
) -> None:
    """Serve the page. Ctrl-C ends it, recordings complete."""
    from bunraku.presets import locate
    from bunraku.serving.server import serve_until_signal
    from bunraku.serving.settings import serve_settings

    settings = serve_settings(
        host=host,
        port=port,
        token=token,
        preset=None if preset is None else locate(preset),
        presets=presets,
        max_sessions=max_sessions,
        recordings=recordings,
        host_names=tuple(allow_host),
        server_devices=server_devices,
        certificate=certificate,
        certificate_key=certificate_key,
    )

    def ready() -> None:
        typer.echo(f"open {settings.address}")
        for fault in settings.shelf.faults:
            typer.echo(f"· {fault}", err=True)
        if not settings.loopback_only and settings.certificate is None:
            typer.echo(
                "· browsers lend camera and microphone to HTTPS pages only: give --certificate,"
                " or use an SSH tunnel to this port",
                err=True,
            )

    serve_until_signal(settings, ready)
