"""What a worker says of itself: to the bot through Redis, and to whoever watches it over HTTP. It names nobody."""

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """Newer workers may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class EngineStatus(Facts):
    device: str
    slots: int
    """For people's models."""
    slots_used: int
    slots_held: int
    """Of those used, by pictures in work."""
    training_slots: int
    training: int
    trainings_waiting: int
    pictures: int
    """In work and waiting."""
    queue: tuple[int, ...]
    """How many pictures each person waits for, the largest number first."""
    batch_fill: float | None
    """The share of a batch's places that were taken in the last seconds; None where no picture was drawn."""
    picture_steps_s: float
    """Denoising steps a second, each picture's counted."""
    train_steps_s: float
    """The same of everybody's trainings."""
    memory_used_mb: int
    """Of the GPU's memory; where there is none, what the engine's process took at most."""
    memory_total_mb: int


class WorkerStatus(Facts):
    worker: str
    base: str
    train_jobs: int
    imagine_jobs: int
    """Jobs taken and not ended."""
    engine: EngineStatus | None
    """None until the base model is loaded."""


def status_key(worker: str) -> str:
    """Where a worker's newest status lies while it lives; `status_key("*")` matches all of them."""
    return f"dreambot:status:{worker}"
