"""The worker's settings, from the environment or a settings file."""

import re
import secrets
import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.bases import DEMO, base_name
from storage.contract import JobKind

DEMO_BASE = Path(__file__).parent / "demo_bundle" / "base"
DEMO_FAST = Path(__file__).parent / "demo_bundle" / "fast" / "pytorch_lora_weights.safetensors"


def _host_name() -> str:
    return re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:40] or "worker"


class WorkerSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    redis_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"), description="The queue; the bot and every worker share it."
    )
    blob_url: str = Field(
        default="data/blobs", description="A folder, or s3:// gs:// az:// for photos, models and pictures."
    )
    base_model: str = Field(
        default=DEMO, description="The base model: demo, a folder, or a hub id. The bot must name the same one."
    )
    worker_name: str = Field(
        default_factory=_host_name,
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="What the worker is called in logs; a few random letters follow, so that no two are the same.",
    )
    individuals_model: str = Field(
        default="",
        description="A DINOv2 model, folder or hub id, by which candidates are chosen; facebook/dinov2-small will do.",
    )
    words_model: str = Field(
        default="",
        description="A CLIP model, folder or hub id, that judges them; openai/clip-vit-large-patch14 will do.",
    )
    fast_lora: str = Field(
        default="",
        description="An LCM or Hyper-SD LoRA to draw in few steps: a file, a hub id, or OWNER/NAME/FILE of the hub.",
    )
    fast_sampler: Literal["lcm", "ddim"] = Field(
        default="lcm", description="What FAST_LORA was made for: lcm for LCM LoRAs, ddim for those of Hyper-SD."
    )
    fast_steps: int | None = Field(default=None, ge=1, le=8, description="And for how many steps; unset means 4.")
    fast_by_default: bool = Field(
        default=False, description="Draw with FAST_LORA unless asked for the best quality, not only when asked to."
    )
    preview_decoder: str = Field(
        default="",
        description="A tiny autoencoder for previews of trainings, folder or hub id, such as madebyollin/taesd.",
    )
    device: Literal["auto", "cuda", "cpu"] = Field(default="auto", description="Where the engine computes.")
    weights: Literal["auto", "full", "eight"] = Field(
        default="auto",
        description="Keep the base's weights whole or in eight bits; auto asks how much memory the GPU has free.",
    )
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of the engine; unset means all cores but one."
    )
    cache_dir: Path = Field(default=Path("data/cache"), description="Class images and files of jobs in work.")
    training_slots: int = Field(default=1, ge=1, le=64, description="How many people may train at once.")
    compile: bool = Field(
        default=False, description="On a GPU, compile the model at the start (minutes) and keep that if it is faster."
    )
    imagine_window: int = Field(default=64, ge=1, le=1000, description="How many /imagine jobs are taken at once.")
    lease_seconds: float = Field(default=30, gt=0, description="A worker silent for so long has lost its jobs.")
    lease_renew_seconds: float = Field(default=10, gt=0, description="How often the worker says that it lives.")
    train_timeout_seconds: float = Field(
        default=4 * 3600, gt=0, description="A training that takes longer is given up."
    )
    imagine_timeout_seconds: float = Field(default=1800, gt=0, description="The same for /imagine, waiting included.")
    engine_start_seconds: float = Field(default=1800, gt=0, description="How long the base model may take to load.")
    engine_step_seconds: float = Field(default=300, gt=0, description="An engine whose step takes longer is restarted.")
    status_host: str = Field(default="127.0.0.1", description="Where the worker's small HTTP server listens.")
    status_port: int | None = Field(
        default=None, ge=0, le=65535, description="Its port, for /status, /metrics and /health; unset means no server."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR."
    )

    @field_validator("base_model")
    @classmethod
    def _names_a_base(cls, value: str) -> str:
        base_name(value)
        return value.strip()

    @model_validator(mode="after")
    def _renews_in_time(self) -> Self:
        if self.lease_renew_seconds * 2 > self.lease_seconds:
            raise ValueError("LEASE_RENEW_SECONDS must be at most half of LEASE_SECONDS")
        return self

    @model_validator(mode="after")
    def _names_both_or_neither(self) -> Self:
        if bool(self.individuals_model) != bool(self.words_model):
            raise ValueError("INDIVIDUALS_MODEL and WORDS_MODEL must be set together, or neither")
        return self

    @property
    def base(self) -> str:
        """The base's short name, as it stands in queue names."""
        return base_name(self.base_model)

    def limit_seconds(self, kind: JobKind) -> float:
        return self.train_timeout_seconds if kind is JobKind.TRAIN else self.imagine_timeout_seconds

    @property
    def fast_source(self) -> str:
        """The LoRA of the fast copy, if any: the demo base brings its own."""
        return str(DEMO_FAST) if self.base_model == DEMO and not self.fast_lora else self.fast_lora

    @property
    def base_source(self) -> str:
        """What the engine loads: a folder or a hub id."""
        return str(DEMO_BASE) if self.base_model == DEMO else self.base_model


def load_settings(env_file: Path | None = None) -> WorkerSettings:
    """Read the settings; raises `pydantic.ValidationError` naming each wrong one."""
    return WorkerSettings(_env_file=env_file) if env_file else WorkerSettings()


def unique_name(settings: WorkerSettings) -> str:
    """Name this run of the worker: two that share a setting still differ, and so do two runs of one."""
    return f"{settings.worker_name}-{secrets.token_hex(2)}"
