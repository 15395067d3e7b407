"""What the network is shown of a picture, and that each window's own voice draws it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Row, Sampler, advance, start
from gpu_worker.engine.sizes import drawing_size
from gpu_worker.engine.texts import Saying
from gpu_worker.engine.views import WHOLE_AREA, blend, lay_out
from tests.gpu_worker.engine.test_slots import random_weights

SIDE, GRAIN = 16, 4
lengths = st.integers(2, 20).map(lambda grains: grains * GRAIN)


@settings(max_examples=40)
@given(height=lengths, width=lengths, voices=st.sampled_from([1, 2]))
def test_windows_cover_every_picture_and_fit_the_network(height: int, width: int, voices: int) -> None:
    windows = lay_out(height, width, SIDE, GRAIN, voices)
    assert len({(window.height, window.width) for window in windows}) == 1
    assert windows[0].height * windows[0].width <= WHOLE_AREA * SIDE**2
    assert windows[0].height % GRAIN == windows[0].width % GRAIN == 0
    assert {window.voice for window in windows} == set(range(voices))
    field = torch.randn(3, height, width)
    assert all(window.cut(field).shape[1:] == window.weight.shape for window in windows)
    said = [window.cut(field) for window in windows]
    torch.testing.assert_close(blend(windows, said, field), field)  # where all agree, that is what comes of it


@settings(max_examples=40)
@given(height=lengths, width=lengths)
def test_two_voices_have_a_half_each_and_a_seam_between(height: int, width: int) -> None:
    windows = lay_out(height, width, SIDE, GRAIN, voices=2)
    like = torch.zeros(1, height, width)
    said = [torch.full((1, window.height, window.width), float(window.voice)) for window in windows]
    share = blend(windows, said, like)[0]  # how much of each place is the second voice's
    middle, seam = width / 2, SIDE / 16
    assert not share[:, : int(middle - seam)].any()
    assert bool((share[:, int(middle + seam) + 1 :] == 1).all())
    torch.testing.assert_close(share, 1 - share.flip(1), atol=1e-5, rtol=0)


def test_a_picture_of_the_bases_own_size_is_shown_whole() -> None:
    (window,) = lay_out(SIDE, SIDE, SIDE, GRAIN)
    assert (window.height, window.width) == (SIDE, SIDE)
    assert bool((window.weight == 1).all())
    assert len(lay_out(SIDE, SIDE * 3 // 2, SIDE, GRAIN)) == 1
    assert len(lay_out(2 * SIDE, 2 * SIDE, SIDE, GRAIN)) == 9


SUBJECTS = (Saying("sks dog on the moon", slot=1), Saying("wsw cat on the moon", slot=2, strength=0.7))


def pair(model: Resident, subjects: tuple[Saying, ...], sampler: Sampler) -> Row:
    size = drawing_size(model.base, None, None, pair=True)
    order = PictureOrder(prompt="a dog and a cat", negative_prompt="snow", seed=3, subjects=subjects)
    return start(model, [order], sampler, size, model.serving, model.embed)[0]


@pytest.fixture
def people(model: Resident) -> Resident:
    for slot in (1, 2, 3):
        model.serving.load(slot, random_weights(model.serving, 4, seed=slot))
    return model


@pytest.mark.parametrize("place", [0, 1])
def test_each_subjects_part_is_what_its_own_words_and_adapter_say(people: Resident, place: int) -> None:
    """In one step, so that nothing has come over from the other's part."""
    sampler = Sampler(steps=1, guidance_scale=3.0)
    both, (voice, window) = pair(people, SUBJECTS, sampler), (SUBJECTS[place], place)
    order = PictureOrder(prompt=voice.prompt, negative_prompt="snow", seed=9, slot=voice.slot, strength=voice.strength)
    (alone,) = start(people, [order], sampler, (32, 32), people.serving, people.embed)
    seen = both.views[window].window
    alone.latents = seen.cut(both.latents).clone()
    advance(people, [both, alone])  # both are 8 latents high and wide to the network, so they go together
    mine = slice(0, 6) if place == 0 else slice(2, 8)  # of its window, without the seam in the middle
    torch.testing.assert_close(seen.cut(both.latents)[..., mine], alone.latents[..., mine], atol=1e-4, rtol=1e-4)
    stranger = pair(people, (Saying(voice.prompt, slot=3),) * 2, sampler)
    advance(people, [stranger])
    assert not torch.allclose(seen.cut(stranger.latents)[..., mine], alone.latents[..., mine], atol=1e-2)


def test_pictures_of_two_and_of_one_go_together_and_come_out_as_alone(people: Resident) -> None:
    sampler, other = Sampler(steps=3, guidance_scale=3.0), Sampler(steps=4, guidance_scale=2.0)

    def begin() -> list[Row]:
        single = PictureOrder(prompt="a photo of sks dog", seed=7, slot=1)
        (row,) = start(people, [single], other, (32, 32), people.serving, people.embed)
        return [pair(people, SUBJECTS, sampler), row, pair(people, SUBJECTS[::-1], other)]

    together, alone = begin(), begin()
    assert len({row.key for row in together}) == 1
    while going := [row for row in together if not row.done]:
        advance(people, going, most=3)  # so that some have to be shown one after the other
    for row in alone:
        while not row.done:
            advance(people, [row], thrifty=True)
    for one, same in zip(together, alone, strict=True):
        torch.testing.assert_close(one.latents, same.latents, atol=1e-4, rtol=1e-4)
