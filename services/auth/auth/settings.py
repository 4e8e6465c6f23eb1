"""Settings of auth, from the environment."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """`private_key`: a JWK file with a `kid`; its public half stands in the file of `PAIDUP_PUBLIC_KEYS`."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", populate_by_name=True, extra="ignore")

    private_key: Path
