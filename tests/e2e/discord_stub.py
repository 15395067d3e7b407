"""Enough of Discord, over real HTTP and a real WebSocket, for the bot to log in, put its commands and be ready."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

BOT_USER = {"id": "9000", "username": "Dreambot", "discriminator": "0", "avatar": None, "bot": True, "flags": 0}
GOOD_TOKEN = "good-token"


@dataclass(kw_only=True)
class DiscordStub:
    url: str = ""
    commands: list[dict[str, Any]] = field(default_factory=list)
    """What the bot registered last."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def discord_stub() -> AsyncIterator[DiscordStub]:
    """Serve on loopback. Any token but `GOOD_TOKEN` is refused as Discord refuses it."""
    stub = DiscordStub()
    app = web.Application(middlewares=[_authorised])

    async def user(_: web.Request) -> web.Response:
        return _json(BOT_USER)

    async def application(_: web.Request) -> web.Response:
        return _json(_application())

    async def gateway_bot(_: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
        return _json({"url": f"{stub.url}/gateway", "shards": 1, "session_start_limit": limit})

    async def put_commands(request: web.Request) -> web.Response:
        stub.commands = await request.json()
        added = [{"id": str(n), "application_id": "9000", "version": "1", "type": 1, **command}
                 for n, command in enumerate(stub.commands, start=1)]  # fmt: skip
        return _json(added)

    async def gateway(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 30_000}, "s": None, "t": None})
        async for message in socket:
            frame = json.loads(message.data) if message.type is WSMsgType.TEXT else {}
            if frame.get("op") == 2:
                await socket.send_json({"op": 0, "s": 1, "t": "READY", "d": _ready(stub.url)})
                stub.ready.set()
            elif frame.get("op") == 1:
                await socket.send_json({"op": 11, "d": None, "s": None, "t": None})
        return socket

    app.router.add_get("/users/@me", user)
    app.router.add_get("/oauth2/applications/@me", application)
    app.router.add_get("/applications/@me", application)
    app.router.add_get("/gateway/bot", gateway_bot)
    app.router.add_put("/applications/9000/commands", put_commands)
    app.router.add_get("/gateway", gateway)
    app.router.add_get("/gateway/", gateway)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield stub
    finally:
        await runner.cleanup()


@web.middleware
async def _authorised(request: web.Request, handler: Any) -> web.StreamResponse:
    is_socket = request.path.rstrip("/") == "/gateway"
    if not is_socket and request.headers.get("Authorization") != f"Bot {GOOD_TOKEN}":
        return _json({"message": "401: Unauthorized", "code": 0}, status=401)
    response: web.StreamResponse = await handler(request)
    return response


def _json(data: object, status: int = 200) -> web.Response:
    """Answer without a charset, as Discord does: discord.py takes nothing else for JSON."""
    return web.Response(body=json.dumps(data).encode(), content_type="application/json", status=status)


def _application() -> dict[str, Any]:
    return {
        "id": "9000", "name": "Dreambot", "description": "", "icon": None, "bot_public": True, "flags": 0,
        "bot_require_code_grant": False, "summary": "", "verify_key": "0", "owner": BOT_USER, "team": None,
    }  # fmt: skip


def _ready(url: str) -> dict[str, Any]:
    return {
        "v": 10, "user": BOT_USER, "guilds": [], "session_id": "s", "resume_gateway_url": f"{url}/gateway",
        "shard": [0, 1], "application": {"id": "9000", "flags": 0},
    }  # fmt: skip
