"""What the bot shows in Discord: commands that answer, and the loop that sends, edits, replaces and gives up."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from storage.deliveries import (
    due_deliveries,
    give_way,
    mark_card_posted,
    mark_removed,
    mark_sent,
    mark_tried,
    postpone,
)
from storage.schema import Delivery, DeliveryKind, DeliveryProblem, DeliveryState
from tests.storage.life.outside import Shown
from tests.storage.life.world import World, mortal

OLD = timedelta(minutes=55)
UNKNOWN_REVISION = -1


class Messages(World):
    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    @mortal
    def answer_a_command(self, data: st.DataObject) -> None:
        """The command posts the card as it was when the job was accepted, at once or late."""
        job = data.draw(st.sampled_from(sorted(self.answers)))
        message = self._post_reply(job, self.answers.pop(job))
        if not self.write(lambda session: mark_card_posted(session, job, message)):
            self.outside.discord.removed.add(message)

    def look_what_is_due(self) -> None:
        found = self.read(lambda session: due_deliveries(session, self.now, limit=1000))
        rows = self.rows.deliveries.values()
        assert {row.id for row in found} == {row.id for row in rows if row.dirty and row.not_before <= self.now}
        self.due = sorted(row.id for row in found)

    @precondition(lambda self: self.rows.deliveries and self.unnoted is None)
    @rule()
    @mortal
    def show_one(self) -> None:
        row = self._next_due()
        if row is None:
            return
        if row.replaces is not None:
            self.outside.discord.removed.add(row.replaces)
            self.write(lambda session: mark_removed(session, row.id))
        if self._is_private(row) and row.webhook_token is None:
            self.write(lambda session: give_way(session, row.id, DeliveryProblem.EXPIRED, self.now))
        else:
            self.unnoted = row.id, *self._show(row)

    @precondition(lambda self: self.unnoted is not None)
    @rule()
    @mortal
    def note_what_was_shown(self) -> None:
        assert self.unnoted is not None
        (row_id, message, revision), self.unnoted = self.unnoted, None
        self.write(lambda session: mark_sent(session, row_id, message, revision, self.now))

    @precondition(lambda self: self.rows.deliveries and self.unnoted is None)
    @rule(problem=st.sampled_from((None, *DeliveryProblem)))
    @mortal
    def fail_to_show_one(self, problem: DeliveryProblem | None) -> None:
        """Try again later what may pass. Nobody is written to directly who did not ask for that."""
        row = self._next_due()
        if row is None:
            return
        if problem is None:
            self.write(lambda session: postpone(session, row.id, self.now + timedelta(minutes=5)))
            return
        directly = self.write(lambda session: give_way(session, row.id, problem, self.now))
        assert self.rows.owners[row.owner_id].direct_messages or not directly
        found = self.rows.deliveries[row.id].state
        assert found is (DeliveryState.PENDING if directly else DeliveryState.UNDELIVERABLE)

    @precondition(lambda self: self.rows.deliveries)
    @rule()
    @mortal
    def deliver(self) -> None:
        if self.unnoted is not None:
            self.note_what_was_shown()
        self.look_what_is_due()
        while self.due:
            self.show_one()
            if self.unnoted is not None:
                self.note_what_was_shown()

    def _next_due(self) -> Delivery | None:
        if not self.due:
            self.look_what_is_due()
        row = self.rows.deliveries[self.due.pop(0)] if self.due else None
        return row if row is not None and row.dirty else None

    def _show(self, row: Delivery) -> tuple[int, int]:
        """Bring a message to the rows' state; returns it, and the revision that it shows."""
        content = self.rows.shown(row.job_id)
        if self._is_private(row):
            message = self._post_reply(row.job_id, content) if row.message_id is None else row.message_id
        elif row.message_id is None or (row.posted_at is not None and self.now - row.posted_at >= OLD):
            return self._send(row, content)
        else:
            message = row.message_id
        assert row.kind is DeliveryKind.CARD, "a result is never shown again"
        self.outside.discord.shown[message] = content
        return message, row.revision

    def _send(self, row: Delivery, content: Shown) -> tuple[int, int]:
        """Send a message, unless one is there that this row knows nothing of."""
        if row.kind is DeliveryKind.RESULT:
            assert self.rows.jobs[row.job_id].state.ended
        lost = [
            message
            for message in self.outside.discord.standing(row.job_id, row.kind)
            if message not in {row.message_id, row.replaces}
        ]
        if lost and not row.direct:
            return lost[0], row.revision if row.kind is DeliveryKind.RESULT else UNKNOWN_REVISION
        if row.tried_at is None:
            self.write(lambda session: mark_tried(session, row.id, self.now))
        message = self.outside.discord.post(row.job_id, row.kind, content, nonce=f"d{row.id}-{row.posts}")
        return message, row.revision

    def _is_private(self, row: Delivery) -> bool:
        private = self.rows.jobs[row.job_id].private
        return private and row.kind is DeliveryKind.CARD and not row.direct

    def _post_reply(self, job: str, content: Shown) -> int:
        """Answer an interaction; its first reply is one message however often it is written."""
        return self.outside.discord.post(job, DeliveryKind.CARD, content, nonce=f"reply-{job}")
