"""Whether there is room for something new: the last of it belongs to the jobs that are promised already."""

from bot.services import Services
from storage.errors import NoRoom


def check_room(services: Services) -> None:
    """Raises NoRoom."""
    free = services.blobs.free_bytes()
    if free is not None and free < services.settings.min_free_gb * 1e9:
        raise NoRoom
