"""Discord as a process of its own, which lives on when the bot dies: `python -m tests.crash.discord_server LOG`.

It speaks what the bot uses of the REST API and the gateway, drops a second message with the same nonce as Discord does,
writes every creation and edit to LOG, and fails on command. Its first line on stdout is its port. Under `/_/` people
are acted for: `POST /_/interactions` sends an interaction to the bot, `POST /_/trouble` orders failures, and
`GET /_/messages` shows what stands in the channels.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from aiohttp import BodyPartReader, WSMsgType, web

TOKEN = "crash-token"
APPLICATION = "9000"
BOT_USER = {"id": APPLICATION, "username": "Dreambot", "discriminator": "0", "avatar": None, "bot": True, "flags": 0}
NONCE_SECONDS = 180.0
"""How long a nonce is remembered; Discord says "the past few minutes"."""
EPHEMERAL, LOADING = 1 << 6, 1 << 7
DISCORD_EPOCH_MS = 1420070400000

Json = dict[str, Any]


@dataclass(kw_only=True)
class Message:
    id: str
    channel: str
    body: Json
    created: float
    nonce: str | None = None
    original_of: str | None = None
    """The token of the interaction that this message answers."""
    edits: int = 0
    showed: bool = False
    """Whether it has ever been a card or a result, more than "thinking" and plain words."""
    deleted: bool = False
    files: list[str] = field(default_factory=list)

    def shown(self) -> Json:
        """Return the message as the API gives it."""
        stamp = datetime.fromtimestamp(self.created, UTC).isoformat()
        files = [
            {"id": str(n), "filename": name, "size": 1, "url": f"http://cdn/{name}", "proxy_url": f"http://cdn/{name}"}
            for n, name in enumerate(self.files)
        ]
        return {
            "id": self.id, "channel_id": self.channel, "author": BOT_USER, "content": self.body.get("content") or "",
            "timestamp": stamp, "edited_timestamp": stamp if self.edits else None, "tts": False, "type": 0,
            "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": files, "embeds": [],
            "pinned": False, "flags": self.body.get("flags", 0), "nonce": self.nonce,
            "components": _numbered(self.body.get("components", []), itertools.count(1)),
        }  # fmt: skip


class Discord:
    """What Discord remembers, and the trouble that it is told to make."""

    def __init__(self, log: TextIO) -> None:
        self._log = log
        self._numbers = itertools.count()
        self.messages: dict[str, Message] = {}
        self.pressed: dict[str, str] = {}
        """The message whose button was pressed, by the token of the press."""
        self.sockets: set[web.WebSocketResponse] = set()
        self.trouble: deque[Json] = deque()

    def note(self, what: str, message: Message) -> None:
        entry = {"at": time.time(), "what": what, "channel": message.channel, "message": message.id}
        print(json.dumps(entry | {"nonce": message.nonce}), file=self._log, flush=True)

    def create(self, channel: str, body: Json, files: list[str], **more: Any) -> Message:
        nonce = str(body["nonce"]) if body.get("enforce_nonce") else None
        for known in self.messages.values():
            fresh = time.time() - known.created < NONCE_SECONDS
            if nonce is not None and fresh and (known.channel, known.nonce) == (channel, nonce):
                self.note("duplicate", known)
                return known
        number = (int(time.time() * 1000) - DISCORD_EPOCH_MS << 22) + next(self._numbers)
        message = Message(
            id=str(number), channel=channel, body=body, created=time.time(), nonce=nonce, files=files, **more
        )
        message.showed = bool(body.get("components"))
        self.messages[message.id] = message
        self.note("create", message)
        return message

    def edit(self, message: Message, body: Json, files: list[str]) -> Message:
        flags = int(body.get("flags") or message.body.get("flags") or 0)
        private = int(message.body.get("flags") or 0) & EPHEMERAL
        message.body = {**message.body, **body, "flags": flags & ~LOADING | private}
        message.files, message.edits = files, message.edits + 1
        message.showed = message.showed or bool(body.get("components"))
        self.note("edit", message)
        return message

    def find(self, key: str, token: str | None = None) -> Message:
        """Return a message by id, or the answer to an interaction as `@original`. Raises `HTTPNotFound`."""
        if key == "@original":
            key = self.pressed.get(token or "", key)
        for message in self.messages.values():
            wanted = message.original_of == token if key == "@original" else message.id == key
            if wanted and not message.deleted:
                return message
        raise web.HTTPNotFound(body=b'{"message": "Unknown Message", "code": 10008}', content_type="application/json")

    async def dispatch(self, event: str, data: Json) -> int:
        """Send an event to every bot that listens; returns how many there are."""
        frame = {"op": 0, "s": next(self._numbers), "t": event, "d": data}
        living = [socket for socket in self.sockets if not socket.closed]
        for socket in living:
            await socket.send_json(frame)
        return len(living)


DISCORD: web.AppKey[Discord] = web.AppKey("discord")
PHOTOS: web.AppKey[Path] = web.AppKey("photos")

# REST.


async def create_message(request: web.Request) -> web.StreamResponse:
    body, files = await _body(request)
    return answer(_discord(request).create(request.match_info["channel"], body, files).shown())


async def edit_message(request: web.Request) -> web.StreamResponse:
    body, files = await _body(request)
    discord = _discord(request)
    return answer(discord.edit(discord.find(request.match_info["message"], _token(request)), body, files).shown())


async def get_message(request: web.Request) -> web.StreamResponse:
    return answer(_discord(request).find(request.match_info["message"], _token(request)).shown())


async def delete_message(request: web.Request) -> web.StreamResponse:
    message = _discord(request).find(request.match_info["message"], _token(request))
    message.deleted = True
    _discord(request).note("delete", message)
    return web.Response(status=204)


async def list_messages(request: web.Request) -> web.StreamResponse:
    """List a channel's messages, the newest first unless `after` is given."""
    channel, limit = request.match_info["channel"], int(request.query.get("limit", 50))
    found = [
        message
        for message in _discord(request).messages.values()
        if message.channel == channel
        and not message.deleted
        and int(request.query.get("after", 0)) < int(message.id) < int(request.query.get("before", 1 << 63))
    ]
    found.sort(key=lambda message: int(message.id), reverse="after" not in request.query)
    return answer([message.shown() for message in found[:limit]])


async def answer_interaction(request: web.Request) -> web.StreamResponse:
    body, files = await _body(request)
    discord, token = _discord(request), request.match_info["token"]
    resource: Json = {"interaction": {"id": request.match_info["interaction"], "type": 2}}
    if body["type"] in {4, 5}:  # a message, or a promise of one
        data = body.get("data") or {}
        data["flags"] = data.get("flags", 0) | (LOADING if body["type"] == 5 else 0)
        message = discord.create(token.split("-")[1], data, files, original_of=token)
        resource["interaction"] |= {"response_message_id": message.id, "response_message_loading": body["type"] == 5}
        resource["resource"] = {"type": body["type"], "message": message.shown()}
    return answer(resource)


async def follow_up(request: web.Request) -> web.StreamResponse:
    body, files = await _body(request)
    return answer(_discord(request).create(request.match_info["token"].split("-")[1], body, files).shown())


# The gateway.


async def gateway(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    discord = _discord(request)
    await socket.send_json({"op": 10, "d": {"heartbeat_interval": 30_000}, "s": None, "t": None})
    try:
        async for message in socket:
            frame = json.loads(message.data) if message.type is WSMsgType.TEXT else {}
            if frame.get("op") == 2:
                await socket.send_json({"op": 0, "s": 1, "t": "READY", "d": _ready(request)})
                discord.sockets.add(socket)
            elif frame.get("op") == 6:
                await socket.send_json({"op": 9, "d": False, "s": None, "t": None})
            elif frame.get("op") == 1:
                await socket.send_json({"op": 11, "d": None, "s": None, "t": None})
    finally:
        discord.sockets.discard(socket)
    return socket


# People and trouble.


async def interact(request: web.Request) -> web.StreamResponse:
    discord, interaction = _discord(request), await request.json()
    if "message" in interaction:
        discord.pressed[interaction["token"]] = interaction["message"]["id"]
    return answer({"heard": await discord.dispatch("INTERACTION_CREATE", interaction)})


async def listeners(request: web.Request) -> web.StreamResponse:
    return answer({"count": len(_discord(request).sockets)})


async def order_trouble(request: web.Request) -> web.StreamResponse:
    """Take `{"kind": "503" | "429" | "drop" | "drop_after", "count": n}` for the next n writes of the bot's."""
    order = await request.json()
    _discord(request).trouble.extend([order] * order["count"])
    return answer({})


async def show_messages(request: web.Request) -> web.StreamResponse:
    return answer([
        {"id": m.id, "channel": m.channel, "nonce": m.nonce, "original_of": m.original_of, "edits": m.edits,
         "deleted": m.deleted, "showed": m.showed, "ephemeral": bool(m.body.get("flags", 0) & EPHEMERAL),
         "components": m.shown()["components"]}
        for m in _discord(request).messages.values()
    ])  # fmt: skip


@web.middleware
async def troubled(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Fail what the bot writes to a channel, as it was ordered."""
    discord = _discord(request)
    writes = request.method in {"POST", "PATCH"} and request.path.startswith("/channels/")
    if not writes or not discord.trouble:
        return await handler(request)
    order = discord.trouble.popleft()
    if order["kind"] == "429":
        body = {"message": "You are being rate limited.", "retry_after": order.get("retry_after", 0.5), "global": False}
        return answer(body, 429, {"Via": "1.1 google", "Retry-After": "1", "X-RateLimit-Scope": "user"})
    if order["kind"] == "503":
        return answer({"message": "503: Service Unavailable", "code": 0}, 503)
    if order["kind"] == "drop_after":
        await handler(request)
    else:
        await request.read()
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("dropped on command")


def application(log: TextIO, photos: Path) -> web.Application:
    app = web.Application(middlewares=[troubled], client_max_size=1 << 26)
    app[DISCORD], app[PHOTOS] = Discord(log), photos
    for path in ("/oauth2/applications/@me", "/applications/@me"):
        app.router.add_get(path, _fixed({
            "id": APPLICATION, "name": "Dreambot", "description": "", "icon": None, "bot_public": True, "flags": 0,
            "bot_require_code_grant": False, "summary": "", "verify_key": "0", "owner": BOT_USER, "team": None,
        }))  # fmt: skip
    app.router.add_get("/users/@me", _fixed(BOT_USER))
    app.router.add_get("/gateway/bot", _gateway_bot)
    app.router.add_put(f"/applications/{APPLICATION}/commands", _commands)
    app.router.add_get("/gateway", gateway)
    app.router.add_get("/gateway/", gateway)
    app.router.add_post("/channels/{channel}/messages", create_message)
    app.router.add_get("/channels/{channel}/messages", list_messages)
    app.router.add_post("/interactions/{interaction}/{token}/callback", answer_interaction)
    app.router.add_post(f"/webhooks/{APPLICATION}/{{token}}", follow_up)
    for prefix in ("/channels/{channel}", f"/webhooks/{APPLICATION}/{{token}}"):
        app.router.add_patch(prefix + "/messages/{message}", edit_message)
        app.router.add_get(prefix + "/messages/{message}", get_message)
        app.router.add_delete(prefix + "/messages/{message}", delete_message)
    app.router.add_post("/_/interactions", interact)
    app.router.add_post("/_/trouble", order_trouble)
    app.router.add_get("/_/listeners", listeners)
    app.router.add_get("/_/messages", show_messages)
    app.router.add_get("/_/photos/{name}", _photo)
    return app


def answer(data: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Answer without a charset, as Discord does: discord.py takes nothing else for JSON."""
    return web.Response(body=json.dumps(data).encode(), content_type="application/json", status=status, headers=headers)


async def _body(request: web.Request) -> tuple[Json, list[str]]:
    """Read JSON, or JSON with files beside it; returns it and the files' names."""
    if not request.content_type.startswith("multipart/"):
        return await request.json(), []
    body: Json = {}
    files = []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.name == "payload_json":
            body = json.loads(await part.text())
        else:
            files.append(part.filename or "file")
            await part.read()
    return body, files


def _numbered(components: list[Json], numbers: "itertools.count[int]") -> list[Json]:
    """Give every component that came without a number its own, as Discord does."""
    return [
        {"id": next(numbers)}
        | component
        | ({"components": _numbered(component["components"], numbers)} if "components" in component else {})
        for component in components
    ]


def _fixed(data: Json) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return answer(data)

    return handler


async def _gateway_bot(request: web.Request) -> web.Response:
    limit = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
    return answer({"url": f"http://{request.host}/gateway", "shards": 1, "session_start_limit": limit})


async def _commands(request: web.Request) -> web.Response:
    commands = await request.json()
    return answer([
        {"id": str(n), "application_id": APPLICATION, "version": "1", "type": 1, **command}
        for n, command in enumerate(commands, start=1)
    ])  # fmt: skip


async def _photo(request: web.Request) -> web.Response:
    return web.Response(body=(request.app[PHOTOS] / request.match_info["name"]).read_bytes(), content_type="image/png")


def _ready(request: web.Request) -> Json:
    return {
        "v": 10, "user": BOT_USER, "guilds": [], "session_id": "s", "shard": [0, 1],
        "resume_gateway_url": f"http://{request.host}/gateway", "application": {"id": APPLICATION, "flags": 0},
    }  # fmt: skip


def _discord(request: web.Request) -> Discord:
    return request.app[DISCORD]


def _token(request: web.Request) -> str | None:
    return request.match_info.get("token")


async def serve(log_path: Path, port: int) -> None:
    with log_path.open("a", encoding="utf-8") as log:
        runner = web.AppRunner(application(log, log_path.parent / "photos"))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
