from storage.database import Database
from storage.people import ensure_owner, has_consent, record_consent
from tests.storage.examples import ANN, BOB, NOW


async def test_consent_holds_for_one_person_and_one_text(database: Database) -> None:
    async with database.write() as session:
        await record_consent(session, ANN, "1", "a" * 64, 1, NOW)
    async with database.read() as session:
        assert await has_consent(session, ANN, "a" * 64)
        assert not await has_consent(session, ANN, "b" * 64)
        assert not await has_consent(session, BOB, "a" * 64)


async def test_a_person_is_known_once(database: Database) -> None:
    for _ in range(2):
        async with database.write() as session:
            await ensure_owner(session, ANN, NOW)
