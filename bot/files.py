"""Downloads over HTTP of what is too large for Discord: a signed link opens one blob, under one name, for one day."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiohttp import web
from yarl import URL

from storage.blobs import Blobs
from storage.errors import BlobMissing

LIFETIME = timedelta(days=1)


class Links:
    """Makes links and tells whether one is genuine and in time."""

    def __init__(self, public_url: str | None, secret: str, clock: Callable[[], datetime]) -> None:
        self._base = URL(public_url) if public_url else None
        self._secret = secret.encode() or secrets.token_bytes(32)
        self._clock = clock

    def sign(self, key: str, filename: str) -> str | None:
        """Return the address of a blob for a day; None where people cannot reach this server."""
        if self._base is None:
            return None
        until = str(int((self._clock() + LIFETIME).timestamp()))
        query = {"name": filename, "until": until, "signature": self._signature(key, filename, until)}
        return str((self._base / "files" / key).with_query(query))

    def holds(self, key: str, filename: str, until: str, signature: str) -> bool:
        genuine = hmac.compare_digest(self._signature(key, filename, until).encode(), signature.encode())
        return genuine and self._clock().timestamp() < int(until)

    def _signature(self, key: str, filename: str, until: str) -> str:
        facts = "\n".join(["GET", key, filename, until]).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._secret, facts, hashlib.sha256)).rstrip(b"=").decode()


def application(blobs: Blobs, links: Links) -> web.Application:
    """Serve `GET /files/<key>` to whoever holds a link, and `GET /health` to whoever watches over the bot."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def download(request: web.Request) -> web.StreamResponse:
        key, query = request.match_info["key"], request.query
        filename = query.get("name", "")
        if not links.holds(key, filename, query.get("until", ""), query.get("signature", "")):
            raise web.HTTPForbidden(text="This link is not valid, or not any more. Press Download again for a new one.")
        try:
            blob = await blobs.open_stream(key)
        except BlobMissing:
            raise web.HTTPNotFound(text="This file is not here any more.") from None
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(blob.size),
                "Content-Disposition": f'attachment; filename="{filename}"',
                "Cache-Control": "private, no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in blob.chunks:
                await response.write(chunk)
        await response.write_eof()
        return response

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/files/{key:.+}", download)])
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port, which the system chooses when `port` is 0."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
