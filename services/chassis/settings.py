"""Settings that every service takes from its environment."""

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def shared(name: str, default: Any = ...) -> Any:
    """A setting that all services share: `PAIDUP_<NAME>`."""
    return Field(default, validation_alias=AliasChoices(f"PAIDUP_{name}"))


class ServiceSettings(BaseSettings):
    """A subclass sets `env_prefix` to its own name, as `PAYMENTS_`."""

    model_config = SettingsConfigDict(populate_by_name=True, extra="ignore")

    kafka: str = shared("KAFKA", "127.0.0.1:9092")
    time_zone: str = shared("TIME_ZONE", "America/New_York")
    clock_file: Path | None = shared("CLOCK_FILE", None)
    public_keys: Path | None = shared("PUBLIC_KEYS", None)
    log_level: str = shared("LOG_LEVEL", "info")
    otlp_endpoint: str | None = shared("OTLP_ENDPOINT", None)
    internal_secret: str = shared("INTERNAL_SECRET", "")

    host: str = "127.0.0.1"
    port: int = 8080
    owner_url: str = ""
    api_url: str = ""
    work_url: str = ""
    pool_size: int = Field(8, ge=2, le=100)
    batch_size: int = Field(500, ge=1, le=5000)

    @property
    def most_connections(self) -> int:
        """To the database, of one process that serves and works: its three pools, the relay's and the listener's own."""
        return 3 * self.pool_size + 2
