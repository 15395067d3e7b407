"""Pictures that go on from another: all of it, or what a mask lets go.

Image-to-image puts noise on a picture and takes the later steps only (SDEdit: Meng et al. 2021, arXiv 2108.01073). With
a mask, what is to stay is put back after every step, with the noise that belongs there (Blended Latent Diffusion:
Avrahami et al. 2022, arXiv 2206.02779).
"""

from dataclasses import dataclass

from torch import Tensor

from gpu_worker.engine.samplers import Schedule


def steps_taken(steps: int, strength: float) -> int:
    """Return how many of the steps, the last ones, are taken at a strength; one is in any case."""
    return max(1, min(int(steps * strength), steps))


@dataclass(frozen=True, eq=False, kw_only=True)
class Origin:
    latents: Tensor
    """[c, h, w], without noise."""
    strength: float
    """The share of the steps that is taken; at 1 a masked picture is drawn from noise alone."""
    mask: Tensor | None = None
    """[1, h, w]: 1 where it is drawn anew, 0 where the picture stays."""

    def begin(self, plan: Schedule, noise: Tensor) -> Tensor:
        """Return the latents from which the first step goes on, for noise [c, h, w]."""
        if self.mask is not None and self.strength == 1:
            return noise * plan.start
        return self._noised(plan, 0, noise)

    def keep(self, latents: Tensor, plan: Schedule, position: int, noise: Tensor) -> Tensor:
        """Put back what the mask does not let go, as it is before the step at `position`."""
        if self.mask is None:
            return latents
        return self.mask * latents + (1 - self.mask) * self._noised(plan, position, noise)

    def _noised(self, plan: Schedule, position: int, noise: Tensor) -> Tensor:
        clean, noisy = plan.levels[position].tolist()
        return clean * self.latents + noisy * noise
