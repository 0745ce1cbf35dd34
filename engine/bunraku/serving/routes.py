"""What is where: the page, the two WebSockets, recordings, /metrics and /healthz."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from bunraku.errors import MissingDependencyError
from bunraku.serving.access import AccessControl, App
from bunraku.serving.audio_line import AudioLine
from bunraku.serving.control_line import ControlLine
from bunraku.serving.metrics import CONTENT_TYPE
from bunraku.serving.visitors import Visitors

PAGE = Path(__file__).parent / "page"


def starlette_module() -> Any:
    """Raises MissingDependencyError with the remedy."""
    try:
        import starlette
    except ImportError as error:
        raise MissingDependencyError(
            f"'bunraku serve' needs the package 'starlette' ({error}): pip install 'bunraku[web]'"
        ) from error
    return starlette


def make_app(visitors: Visitors) -> App:
    """An ASGI application behind the access rules of the settings."""
    starlette_module()
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, PlainTextResponse, Response
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles
    from starlette.websockets import WebSocketDisconnect

    async def index(request: Any) -> Response:
        return FileResponse(PAGE / "index.html")

    async def health(request: Any) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(request: Any) -> Response:
        return Response(visitors.metrics.text(), media_type=CONTENT_TYPE)

    async def recording(request: Any) -> Response:
        visitor = visitors.find(request.path_params["key"])
        name = request.path_params["name"]
        recorded = visitor.desk.state().recorded if visitor else ()
        path = next((path for path in recorded if path.name == name), None)
        if path is None or not path.is_file():
            return PlainTextResponse("no such recording in this session\n", status_code=404)
        return FileResponse(path, filename=path.name, media_type="video/mp4")

    async def control(socket: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await ControlLine(socket, visitors).run()

    talking: set[str] = set()

    async def audio(socket: Any) -> None:
        key = socket.query_params.get("key", "")
        visitor = visitors.find(key)
        if visitor is None or visitor.voice is None or key in talking:
            await socket.close(1008, "no session here waits for sound")
            return
        talking.add(key)
        try:
            with contextlib.suppress(WebSocketDisconnect):
                line = AudioLine(
                    socket, visitor.voice, visitors.metrics, visitor.drop_voice_effects
                )
                await line.run()
        finally:
            talking.discard(key)

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/healthz", health),
            Route("/metrics", metrics),
            Route("/recordings/{key}/{name}", recording),
            WebSocketRoute("/control", control),
            WebSocketRoute("/audio", audio),
            Mount("/page", StaticFiles(directory=PAGE)),
        ]
    )
    return AccessControl(app, visitors.settings.rules)
