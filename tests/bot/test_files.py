"""Signed downloads, over a real socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.files import LIFETIME, Links, application, serving
from storage.blobs import Blobs

KEY = "models/0123/adapter.safetensors"
BODY = bytes(range(256)) * 20_000


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Site:
    http: aiohttp.ClientSession
    links: Links
    blobs: Blobs
    clock: Clock
    url: URL

    async def get(self, url: str | URL) -> tuple[int, bytes]:
        async with self.http.get(url) as response:
            return response.status, await response.read()

    def signed(self, key: str = KEY, filename: str = "rex-lora.safetensors") -> URL:
        link = self.links.sign(key, filename)
        assert link is not None
        return URL(link)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    blobs, clock = Blobs.open(str(tmp_path)), Clock()
    await blobs.put(KEY, BODY)
    links = Links("http://placeholder.invalid/some/path", "secret", clock)
    async with serving(application(blobs, links), "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        url = URL(f"http://127.0.0.1:{port}")
        yield Site(http, Links(str(url), "secret", clock), blobs, clock, url)


async def test_a_link_opens_its_blob_under_its_name(site: Site) -> None:
    async with site.http.get(site.signed()) as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"] == 'attachment; filename="rex-lora.safetensors"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.content_length == len(BODY)
        assert await response.read() == BODY


async def test_head_tells_the_size_alone(site: Site) -> None:
    async with site.http.head(site.signed()) as response:
        assert (response.status, response.content_length, await response.read()) == (200, len(BODY), b"")


@pytest.mark.parametrize("part", ["name", "until", "signature"])
async def test_a_link_that_was_changed_opens_nothing(site: Site, part: str) -> None:
    link = site.signed()
    digit = {"name": "other.exe", "until": str(int(link.query["until"]) + 9), "signature": "A" * 43}

    assert (await site.get(link.update_query({part: digit[part]})))[0] == 403
    assert (await site.get(link.update_query({part: "é\u2028\n"})))[0] == 403
    assert (await site.get(link.without_query_params(part)))[0] == 403


async def test_a_link_opens_no_other_blob(site: Site) -> None:
    await site.blobs.put("photos/4567/0.png", b"somebody's face")
    link = site.signed()

    other = link.with_path("/files/photos/4567/0.png", keep_query=True)

    assert (await site.get(other))[0] == 403


async def test_a_link_ends_after_its_day(site: Site) -> None:
    link = site.signed()

    site.clock.now += LIFETIME - timedelta(seconds=1)
    assert (await site.get(link))[0] == 200

    site.clock.now += timedelta(seconds=1)
    status, words = await site.get(link)
    assert (status, b"Press Download again" in words) == (403, True)


async def test_a_deleted_blob_is_not_found(site: Site) -> None:
    link = site.signed()
    await site.blobs.delete(KEY)

    assert (await site.get(link))[0] == 404


async def test_another_secret_makes_other_links(site: Site) -> None:
    for secret in ("another", ""):
        stranger = Links(str(site.url), secret, site.clock).sign(KEY, "rex-lora.safetensors")
        assert stranger is not None
        assert (await site.get(stranger))[0] == 403


async def test_health(site: Site) -> None:
    assert await site.get(site.url / "health") == (200, b'{"status": "ok"}')


def test_without_an_address_there_are_no_links() -> None:
    assert Links(None, "secret", Clock()).sign(KEY, "x") is None


def test_an_address_may_have_a_path_of_its_own() -> None:
    link = Links("https://example.org/dreambot/", "secret", Clock()).sign(KEY, "x")
    assert link is not None
    assert link.startswith(f"https://example.org/dreambot/files/{KEY}?")
