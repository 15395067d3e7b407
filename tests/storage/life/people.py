"""What people do: ask, agree, cancel, delete, share, and look at what is theirs."""

from dataclasses import replace
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy.ext.asyncio import AsyncSession

from storage.class_questions import LIFE, Answer, train_after_all
from storage.contract import FailureReason, JobKind, SubjectKind
from storage.drafts import keep_draft, take_draft
from storage.erasure import delete_model
from storage.errors import (
    JobAlreadyEnded,
    ModelNotFound,
    ModelNotReady,
    NameTaken,
    NotYourJob,
    QuestionClosed,
    TooManyJobs,
    TrainingActive,
    UserError,
)
from storage.imaginings import NewImagining, accept_imagining
from storage.jobs import queue_place, request_cancel
from storage.model_names import rename_model
from storage.models import usable_models
from storage.people import record_consent, set_direct_messages
from storage.schema import ACTIVE, WAITING, Job, JobState, Model, ModelStatus
from storage.sharing import share_model, unshare_model
from storage.trainings import accept_training
from tests.storage.examples import ANN, BOB, CHANNEL, GUILD, new_imagining, new_training
from tests.storage.life.world import World, mortal

MAX_IMAGININGS = 3
PEOPLE = st.sampled_from((ANN, BOB))
STRANGERS = st.sampled_from((False, False, False, True))
"""Whether somebody tries what is another's to do."""
NAMES = st.sampled_from(("rex", "REX", "luna"))
GUILDS = st.sampled_from((GUILD, GUILD + 1))


class People(World):
    @rule(person=PEOPLE, name=NAMES, agrees=st.sampled_from((True, True, False)))
    @mortal
    def ask_for_a_training(self, person: int, name: str, agrees: bool) -> None:
        """Without consent the photos wait as a draft."""
        new = new_training(person, name, self.new_number(), self.new_id(), self.new_id())
        self.outside.blobs.update(photo.key for photo in new.photos)
        if not agrees:
            self.write(lambda session: keep_draft(session, new, self.now))
            return
        job = self.ask(self._no_training(person, name), lambda session: accept_training(session, new, self.now))
        if job is None:
            self.outside.blobs.difference_update(photo.key for photo in new.photos)
        else:
            self.promise(job)

    @precondition(lambda self: self.rows.drafts)
    @rule(data=st.data(), by_stranger=STRANGERS)
    @mortal
    def agree(self, data: st.DataObject, by_stranger: bool) -> None:
        draft = self.rows.drafts[data.draw(st.sampled_from(sorted(self.rows.drafts)))]
        person = self._owner_or_not(draft.owner_id, by_stranger)
        interaction = self.new_number()

        async def begin(session: AsyncSession) -> Job | None:
            training = await take_draft(session, draft.id, person)
            if training is None:
                return None
            await record_consent(session, person, "1", "d", interaction, self.now)
            return await accept_training(session, training, self.now)

        mine = draft.owner_id == person
        job = self.ask(self._no_training(person, draft.training["name"]) if mine else None, begin)
        if job is not None:
            assert mine
            assert interaction in {consent.interaction_id for consent in self.rows.consents}
            self.promise(job)

    @precondition(lambda self: self._questions())
    @rule(data=st.data())
    @mortal
    def answer_a_question(self, data: st.DataObject) -> None:
        """Photos that show something else than was said are trained on once, however often somebody answers."""
        asked = self.draw_job(data, self._questions())
        photos = {photo.key for photo in self.rows.photos if photo.job_id == asked.id}
        answer = Answer(
            job=self.new_id(), model=self.new_id(), class_noun="cat", subject_kind=SubjectKind.PET,
            interaction_id=self.new_number(), guild_id=GUILD, channel_id=CHANNEL,
        )  # fmt: skip

        async def begin(session: AsyncSession) -> Job:
            return await train_after_all(session, await session.get_one(Job, asked.id), answer, self.now)

        assert asked.finished_at is not None
        closed = not photos or asked.finished_at <= self.now - LIFE
        name = self.rows.models[str(asked.model_id)].name
        job = self.ask(QuestionClosed if closed else self._no_training(asked.owner_id, name), begin)
        if job is not None:
            self.promise(job)
            assert {photo.key for photo in self.rows.photos if photo.job_id == job.id} == photos
            assert not [photo for photo in self.rows.photos if photo.job_id == asked.id]

    def _questions(self) -> list[Job]:
        failed = [job for job in self.jobs(JobState.FAILED) if job.kind is JobKind.TRAIN]
        return [job for job in failed if job.failure is FailureReason.CLASS_DOUBTFUL]

    @rule(data=st.data(), person=PEOPLE, guild=GUILDS, private=st.booleans())
    @mortal
    def ask_for_pictures(self, data: st.DataObject, person: int, guild: int, private: bool) -> None:
        ready = [model for model in self.rows.models.values() if model.status is ModelStatus.READY]
        chosen = data.draw(st.sampled_from([None, *(model.id for model in ready or self.rows.models.values())]))
        model = None if chosen is None else self.rows.models[chosen]
        new = new_imagining(person, model, interaction=self.new_number(), job=self.new_id())
        new = replace(new, guild_id=guild, private=private, webhook_token="secret" if private else None)
        job = self.ask(
            self._no_pictures(new), lambda session: accept_imagining(session, new, self.now, limit=MAX_IMAGININGS)
        )
        if job is not None:
            self.promise(job)

    @precondition(lambda self: self.rows.jobs)
    @rule(data=st.data(), what=st.sampled_from(("repeat_a_click", "allow_direct_messages", "look_around")))
    @mortal
    def do_something_small(self, data: st.DataObject, what: str) -> None:
        getattr(self, what)(data)

    def repeat_a_click(self, data: st.DataObject) -> None:
        """Discord may bring the same interaction twice, and people press twice."""
        first = self._any_job(data)
        before = self.rows

        async def accept(session: AsyncSession) -> Job:
            if first.kind is JobKind.IMAGINE:
                again = new_imagining(first.owner_id, None, first.interaction_id, job=self.new_id())
                return await accept_imagining(session, again, self.now, limit=MAX_IMAGININGS)
            training = new_training(first.owner_id, "luna", first.interaction_id, self.new_id(), self.new_id())
            return await accept_training(session, training, self.now)

        assert self.write(accept) == first
        assert self.rows == before

    @precondition(lambda self: self.rows.jobs)
    @rule(data=st.data(), by_stranger=STRANGERS)
    @mortal
    def cancel(self, data: st.DataObject, by_stranger: bool) -> None:
        job = self._any_job(data)
        person = self._owner_or_not(job.owner_id, by_stranger)
        refusal: type[UserError] | None = JobAlreadyEnded if job.state.ended else None
        if job.owner_id != person:
            refusal = NotYourJob
        stopped = self.ask(refusal, lambda session: request_cancel(session, job.id, person, self.now))
        if stopped is not None:
            self.promises.unwanted.add(job.id)
            assert stopped.state is (JobState.CANCELLED if job.state is JobState.ACCEPTED else job.state)
            assert stopped.state.ended or stopped.cancel_requested_at is not None

    @precondition(lambda self: self.rows.models)
    @rule(data=st.data(), by_stranger=STRANGERS, dies=st.booleans())
    @mortal
    def delete(self, data: st.DataObject, by_stranger: bool, dies: bool) -> None:
        """The bot may die before it has deleted the bytes."""
        model = self._any_model(data)
        self.delete_model(model, self._owner_or_not(model.owner_id, by_stranger), dies)

    def delete_model(self, model: Model, person: int, dies: bool) -> None:
        before = self.rows
        keys = self.ask(self._not_own(model, person), lambda session: delete_model(session, model.id, person, self.now))
        if keys is None:
            return
        assert set(keys) <= set(before.keys()) - set(self.rows.keys())
        jobs = [job for job in before.jobs.values() if job.model_id == model.id]
        self.promises.deleted.add(model.id)
        self.promises.unwanted.update(job.id for job in jobs if not job.state.ended)
        if dies:
            self.die()
        else:
            folders = {model.id, *(job.id for job in jobs if job.kind is JobKind.TRAIN)}
            self.outside.blobs -= {key for key in self.outside.blobs if key in keys or folders & set(key.split("/"))}

    @precondition(lambda self: self.rows.models)
    @rule(data=st.data(), by_stranger=STRANGERS, change=st.sampled_from(("rename", "share", "share", "unshare")))
    @mortal
    def change_a_model(self, data: st.DataObject, by_stranger: bool, change: str) -> None:
        model = self._any_model(data)
        person = self._owner_or_not(model.owner_id, by_stranger)
        not_own = self._not_own(model, person)
        if change == "rename":
            name = data.draw(NAMES)
            holder = self._holder(person, name)
            taken = NameTaken if holder is not None and holder.id != model.id else None
            self.ask(not_own or taken, lambda session: rename_model(session, model.id, person, name))
        elif change == "share":
            guild, unready = data.draw(GUILDS), None if model.status is ModelStatus.READY else ModelNotReady
            self.ask(not_own or unready, lambda session: share_model(session, model.id, person, guild))
        else:
            self.ask(not_own, lambda session: unshare_model(session, model.id, person))

    def allow_direct_messages(self, data: st.DataObject) -> None:
        person, wanted = data.draw(PEOPLE), data.draw(st.booleans())
        self.write(lambda session: set_direct_messages(session, person, wanted, self.now))

    def look_around(self, data: st.DataObject) -> None:
        """See the models that one may draw with, and the places of all that waits, in the order of asking."""
        person, guild, kind = data.draw(PEOPLE), data.draw(GUILDS), data.draw(st.sampled_from(JobKind))
        found = self.read(lambda session: usable_models(session, person, guild))
        usable = [model.id for model in self.rows.models.values() if self._may_use(model, person, guild)]
        assert sorted(model.id for model in found) == sorted(usable)
        waiting = [job for job in self.jobs(*WAITING) if job.kind is kind]
        waiting.sort(key=lambda job: (job.created_at, job.id))
        places = [self.read(partial(queue_place, job=job)) for job in waiting]
        assert places == list(range(1, 1 + len(waiting)))

    def _owner_or_not(self, owner: int, by_stranger: bool) -> int:
        return owner if not by_stranger else BOB if owner == ANN else ANN

    def _any_job(self, data: st.DataObject) -> Job:
        """Draw a job, an active one where there is one."""
        return self.draw_job(data, [*self.jobs(*ACTIVE), *self.rows.jobs.values()])

    def _any_model(self, data: st.DataObject) -> Model:
        """Draw a model, a present one where there is one."""
        present = sorted(model.id for model in self.rows.models.values() if model.deleted_at is None)
        return self.rows.models[data.draw(st.sampled_from([*present, *present, *sorted(self.rows.models)]))]

    def _holder(self, person: int, name: str) -> Model | None:
        for model in self.rows.models.values():
            if model.owner_id == person and model.deleted_at is None and model.name.casefold() == name.casefold():
                return model
        return None

    def _may_use(self, model: Model, person: int, guild: int | None) -> bool:
        seen = model.owner_id == person or (guild is not None and model.shared_guild_id == guild)
        return model.deleted_at is None and model.status is ModelStatus.READY and seen

    def _not_own(self, model: Model, person: int) -> type[UserError] | None:
        return None if model.owner_id == person and model.deleted_at is None else ModelNotFound

    def _no_training(self, person: int, name: str) -> type[UserError] | None:
        """Tell why the person may not begin a training."""
        if [job for job in self.jobs(*ACTIVE) if job.owner_id == person and job.kind is JobKind.TRAIN]:
            return TrainingActive
        holder = self._holder(person, name)
        return None if holder is None or holder.status is ModelStatus.FAILED else NameTaken

    def _no_pictures(self, new: NewImagining) -> type[UserError] | None:
        asked = [job for job in self.jobs(*ACTIVE) if job.owner_id == new.owner_id and job.kind is JobKind.IMAGINE]
        if len(asked) >= MAX_IMAGININGS:
            return TooManyJobs
        if new.model is None or self._may_use(new.model, new.owner_id, new.guild_id):
            return None
        own = self._not_own(new.model, new.owner_id) is None
        return ModelNotReady if own else ModelNotFound
