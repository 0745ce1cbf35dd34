"""The server's life: opened, listening, and closed within two seconds of being asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from bunraku.errors import DeviceError, MissingDependencyError
from bunraku.serving.aiortc_tuning import HostAddresses
from bunraku.serving.limits import MOST_MESSAGE_BYTES
from bunraku.serving.peer import aiortc_module
from bunraku.serving.routes import make_app, starlette_module
from bunraku.serving.settings import ServeSettings
from bunraku.serving.visitors import Visitors

CLOSE_TIMEOUT_S = 1.6
CONNECTIONS_FOR_EACH = 12


def serve_until_signal(settings: ServeSettings, on_ready: Callable[[], None]) -> None:
    """Blocks until SIGTERM or Ctrl-C. Raises BunrakuError or OSError when it cannot begin."""
    asyncio.run(_until_signal(settings, on_ready))


async def _until_signal(settings: ServeSettings, on_ready: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stopping.set)
        except NotImplementedError:  # where loops take no signals
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    await serve(settings, stopping, on_ready)


async def serve(
    settings: ServeSettings, stopping: asyncio.Event, on_ready: Callable[[], None]
) -> None:
    """Until `stopping` is set. Raises DeviceError when the port is taken."""
    uvicorn = uvicorn_module()
    starlette_module()
    aiortc_module()
    with contextlib.ExitStack() as closing:
        listening = closing.enter_context(listen(settings))
        closing.callback(HostAddresses(settings.loopback_only).restore)
        visitors = Visitors(settings)
        try:
            server = _server(uvicorn, settings, visitors)
            running = asyncio.create_task(server.serve(sockets=[listening]))
            on_ready()
            await _either(asyncio.create_task(stopping.wait()), running)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(visitors.close(), CLOSE_TIMEOUT_S)
            server.should_exit = True
            await running
        finally:
            await visitors.close()


async def _either(waiting: asyncio.Task[Any], running: asyncio.Task[Any]) -> None:
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _server(uvicorn: Any, settings: ServeSettings, visitors: Visitors) -> Any:
    class QuietServer(uvicorn.Server):  # type: ignore[misc]
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # ours: recordings are finished before connections are

    return QuietServer(
        uvicorn.Config(
            make_app(visitors),
            host=settings.host,
            port=settings.port,
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="off",
            loop="asyncio",
            ws_max_size=MOST_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # sound does not shrink, and waits for nobody
            ws_ping_interval=10.0,
            ws_ping_timeout=20.0,
            limit_concurrency=CONNECTIONS_FOR_EACH * (settings.max_sessions + 4),
            timeout_keep_alive=5,
            timeout_graceful_shutdown=0.3,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.certificate_key,
        )
    )


def listen(settings: ServeSettings) -> socket.socket:
    """Raises DeviceError when the port is taken or the address not this machine's."""
    host = {"localhost": "127.0.0.1"}.get(settings.host, settings.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=64)
    except OSError as error:
        raise DeviceError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror or error}):"
            " choose another --port or --host"
        ) from error


def uvicorn_module() -> Any:
    """Raises MissingDependencyError with the remedy."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError(
            f"'bunraku serve' needs the package 'uvicorn' ({error}): pip install 'bunraku[web]'"
        ) from error
    return uvicorn
