"""The bot's settings, from the environment or a settings file."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class BotSettings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    discord_token: SecretStr = Field(default=SecretStr(""), description="The bot's token, from the Developer Portal.")
    dev_guild_id: int | None = Field(default=None, description="Put new commands into this server at once, for trying.")
    discord_api_url: str | None = Field(
        default=None, description="Discord's REST API through a proxy of yours, such as http://proxy:8080/api/v10."
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"), description="The queue; the bot and every worker share it."
    )
    database_url: str = Field(
        default="sqlite+aiosqlite:///data/dreambot.db", description="SQLite file or postgresql+psycopg:// address."
    )
    blob_url: str = Field(
        default="data/blobs", description="A folder, or s3:// gs:// az:// for photos, models and pictures."
    )
    base_model: str = Field(
        default="demo", description="The base model: demo, a folder, or a hub id. Workers must name the same one."
    )
    public_url: str | None = Field(
        default=None, description="Where people reach the bot's download server; unset means files over 10 MB stay."
    )
    files_host: str = Field(default="127.0.0.1", description="Where the bot's small HTTP server listens.")
    files_port: int = Field(default=8080, ge=0, le=65535, description="Its port; it also answers /health.")
    link_secret: SecretStr = Field(
        default=SecretStr(""), description="Signs download links; empty makes a new one at each start."
    )
    photo_retention_days: float = Field(
        default=0, ge=0, description="How long photos stay after their training ended; 0 deletes them at once."
    )
    prompt_retention_days: float = Field(
        default=30, ge=0, description="How long prompts stay of requests that failed or were cancelled."
    )
    min_free_gb: float = Field(
        default=1, ge=0, description="Take in nothing new when the blob folder's disk has less room than this."
    )
    max_photo_mb: float = Field(default=20, gt=0, le=100, description="The largest photo that is taken in.")
    max_active_pictures: int = Field(default=5, ge=1, description="How many /imagine jobs a person may have waiting.")
    max_pictures_per_day: int = Field(
        default=200, ge=0, description="How many pictures a person may ask for in 24 hours; 0 sets no limit."
    )
    max_trainings_per_day: int = Field(
        default=10, ge=0, description="How many trainings in 24 hours, one at a time; 0 sets no limit."
    )
    gpu_price_per_hour: float = Field(
        default=0,
        ge=0,
        description="What an hour of your GPU costs, so that people see what they spend; 0 says nothing.",
    )
    currency: str = Field(default="USD", max_length=8, description="The currency of that price.")
    public_models: bool = Field(
        default=False, description="Let people share a model with everybody who can reach this bot, in any server."
    )
    operators: str = Field(
        default="",
        pattern=r"^\s*(\d+(\s*,\s*\d+)*)?\s*$",
        description="Who runs the bot, by their Discord ids with commas between; /admin is open to them in full.",
    )
    reports_channel_id: int | None = Field(
        default=None, description="The channel where reported pictures are told of; the log tells of them in any case."
    )
    lease_seconds: float = Field(default=30, gt=0, description="A worker silent for so long has lost its job.")
    lease_look_seconds: float = Field(default=5, gt=0, description="How often the bot looks for silent workers.")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @property
    def operator_ids(self) -> frozenset[int]:
        return frozenset(int(person) for person in self.operators.split(",") if person.strip())


def load_settings(env_file: Path | None = None) -> BotSettings:
    """Read the settings; raises `pydantic.ValidationError` naming each wrong one."""
    return BotSettings(_env_file=env_file) if env_file else BotSettings()
