"""The end of a training: the best candidate and its runners-up as files, each with pictures and a score."""

import time
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, save_adapter
from gpu_worker.engine.choosing import Score, likeness
from gpu_worker.engine.course import Course
from gpu_worker.engine.export import save_kohya
from gpu_worker.engine.fidelity import Reference, refer
from gpu_worker.engine.finalists import published
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Pauses, PictureOrder, draw
from gpu_worker.engine.sizes import for_display
from gpu_worker.engine.training import DreamBooth
from gpu_worker.engine.trials import JUDGING, aim_of
from storage.contract import Findings, Variant, variant_name


class Publisher:
    """Writes adapters into the order's folder and looks at what they draw; all draw the same prompts and seeds."""

    def __init__(self, model: Resident, course: Course, trainer: DreamBooth) -> None:
        self._model, self._course, self._trainer = model, course, trainer
        self._orders = JUDGING.orders(course.request, trainer.slot)
        self._plain: Sequence[Image.Image] = ()

    def publish(self, started: float) -> Pauses[pipe.TrainingDone]:
        """Publish the finalists; where nothing could be scored, the last point is the best."""
        course, trainer = self._course, self._trainer
        self._plain = course.others
        if course.embedders and not aim_of(course.request).has_class:
            self._plain = yield from self._draw(JUDGING.class_orders(course.request, 0))
        if not course.finalists:
            best = yield from self._write(Variant.BEST, trainer.position, trainer.trained(), None)
            return self._done(best, (), started)
        made: dict[Variant, dict[str, Any]] = {}
        for variant, one in published(course.finalists).items():
            made[variant] = yield from self._write(variant, one.step, one.weights, one.score)
        best = made.pop(Variant.BEST)
        return self._done(best, [pipe.RunnerUp(variant=variant, **files) for variant, files in made.items()], started)

    def _done(self, best: dict[str, Any], runners_up: Sequence[pipe.RunnerUp], started: float) -> pipe.TrainingDone:
        return pipe.TrainingDone(
            job=self._course.job,
            steps=self._trainer.position,
            seconds=time.monotonic() - started,
            runners_up=tuple(runners_up),
            **best,
        )

    def _write(
        self, variant: Variant, step: int, weights: dict[str, tuple[Tensor, Tensor]], score: Score | None
    ) -> Pauses[dict[str, Any]]:
        """Write the files of one adapter and return the fields that tell of it."""
        course, folder, request = self._course, self._course.order.folder, self._course.request
        header = AdapterHeader(
            base_digest=self._model.base.digest,
            identifier=request.identifier,
            class_noun=request.class_noun,
            rank=course.recipe.rank,
            steps=step,
        )
        file = AdapterFile(header, weights, self._reference())
        adapter, download = (folder / f"{variant_name(stem, variant)}.safetensors" for stem in ("adapter", "download"))
        save_adapter(adapter, file)
        save_kohya(download, file, self._model.base, course.recipe, len(course.photos), request.seed)
        self._trainer.bank.load(self._trainer.slot, weights)
        pictures = yield from self._draw(self._orders)
        stem = variant_name("final", variant)
        return {
            "adapter": adapter,
            "download": download,
            "subject_score": self._judge(pictures),
            "findings": score and findings(score),
            "samples": tuple(
                self._keep(f"{stem}-{place}.png", order.seed, picture)
                for place, (order, picture) in enumerate(zip(self._orders, pictures, strict=True))
            ),
        }

    def _reference(self) -> Reference | None:
        """Return what later pictures are chosen by, when the photos are gone; the embedder that judges stays out."""
        course = self._course
        if course.embedders is None or not aim_of(course.request).has_class:
            return None
        try:
            return refer(course.embedders.choosing, course.photos, course.request.class_noun, self._plain)
        except ValueError:  # it cannot tell the subject, as the log says of its scores
            return None

    def _judge(self, pictures: Sequence[Image.Image]) -> float | None:
        if self._course.embedders is None:
            return None
        judge = self._course.embedders.judging
        return likeness(judge, aim_of(self._course.request), pictures, self._course.photos, self._plain)

    def _draw(self, orders: Sequence[PictureOrder]) -> Pauses[list[Image.Image]]:
        pixels = yield from draw(self._model, orders, self._course.recipe.sampler, bank=self._trainer.bank)
        return [to_image(picture) for picture in pixels]

    def _keep(self, name: str, seed: int, picture: Image.Image) -> pipe.PictureFile:
        path, shown = self._course.order.folder / name, for_display(picture)
        save_picture(shown, path)
        return pipe.PictureFile(path=path, seed=seed, width=shown.width, height=shown.height)


def findings(score: Score) -> Findings:
    return Findings(adherence=score.adherence, copied=score.copied, repeated=score.repeated, drift=score.drift)
