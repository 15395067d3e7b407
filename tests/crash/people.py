"""What people do, as Discord tells it to the bot: interactions in the form of the gateway."""

import itertools
import secrets
import time
from collections.abc import Sequence
from typing import Any

from tests.crash.discord_server import APPLICATION, DISCORD_EPOCH_MS

Json = dict[str, Any]

GUILD = "7000"
FIRST_OWNER, AGREED = 1000, 2000
"""How many people, from the first owner on, have agreed to the terms before; those after them are newcomers."""
FIRST_NEWCOMER = FIRST_OWNER + AGREED
_numbers = itertools.count()


def snowflake() -> int:
    return (int(time.time() * 1000) - DISCORD_EPOCH_MS << 22) + next(_numbers)


def train(owner: int, channel: int, name: str, class_noun: str, photos: Sequence[str], options: Json) -> Json:
    """`/train` with the photos at these addresses."""
    words = {"name": name, "class": class_noun, **options}
    attachments = {
        str(n): {
            "id": str(n), "filename": f"{n}.png", "size": 1000, "url": url, "proxy_url": url, "width": 64, "height": 64,
            "content_type": "image/png",
        }
        for n, url in enumerate(photos, start=1)
    }  # fmt: skip
    given = [_option(name, value) for name, value in words.items()]
    given += [{"name": f"photo{number}", "type": 11, "value": number} for number in attachments]
    return _command(owner, channel, "train", given, {"attachments": attachments})


def imagine(owner: int, channel: int, prompt: str, options: Json) -> Json:
    given = [_option(name, value) for name, value in {"prompt": prompt, **options}.items()]
    return _command(owner, channel, "imagine", given)


def command(owner: int, channel: int, name: str) -> Json:
    """A command with nothing said."""
    return _command(owner, channel, name, [])


def type_model(owner: int, channel: int, typed: str) -> Json:
    """Type into the `model` field of `/imagine`: the bot is asked what to offer."""
    given = [{"name": "model", "type": 3, "value": typed, "focused": True}]
    data = {"id": "1", "name": "imagine", "type": 1, "options": given, "resolved": {}}
    return _interaction(owner, channel, 4) | {"data": data}


def cancel(owner: int, channel: int, job: str) -> Json:
    return _command(owner, channel, "cancel", [_option("job", job)])


def press(owner: int, channel: int, message: Json, custom_id: str) -> Json:
    """Press a button of a message."""
    shown = {
        "id": message["id"], "channel_id": str(channel), "content": "", "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None, "tts": False, "mention_everyone": False, "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": [], "pinned": False, "type": 0, "flags": 1 << 15,
        "components": message["components"],
        "author": {"id": APPLICATION, "username": "Dreambot", "discriminator": "0", "avatar": None, "bot": True},
    }  # fmt: skip
    return _interaction(owner, channel, 3) | {"message": shown, "data": {"custom_id": custom_id, "component_type": 2}}


def _command(owner: int, channel: int, name: str, options: list[Json], resolved: Json | None = None) -> Json:
    data = {"id": "1", "name": name, "type": 1, "options": options, "resolved": resolved or {}}
    return _interaction(owner, channel, 2) | {"data": data}


def _option(name: str, value: str | float) -> Json:
    kind = 3 if isinstance(value, str) else 4 if isinstance(value, int) else 10
    return {"name": name, "type": kind, "value": value}


def _interaction(owner: int, channel: int, kind: int) -> Json:
    user = {"id": str(owner), "username": f"person{owner}", "discriminator": "0", "avatar": None, "global_name": None}
    return {
        "id": str(snowflake()), "application_id": APPLICATION, "type": kind, "version": 1, "locale": "en-US",
        "token": f"t-{channel}-{secrets.token_hex(8)}", "guild_id": GUILD, "channel_id": str(channel),
        "channel": {"id": str(channel), "type": 0, "name": "studio", "position": 0, "permission_overwrites": []},
        "member": {
            "user": user, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False,
            "flags": 0, "permissions": str(1 << 40), "avatar": None,
        },
        "app_permissions": str((1 << 50) - 1), "entitlements": [], "context": 0, "attachment_size_limit": 10 << 20,
        "authorizing_integration_owners": {"0": GUILD},
    }  # fmt: skip
