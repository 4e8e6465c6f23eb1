"""Settings of support, from the environment."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """`notify_keys`: a JWK set with notify's public key, for what is mailed of tickets."""

    model_config = SettingsConfigDict(env_prefix="SUPPORT_", populate_by_name=True, extra="ignore")

    notify_keys: Path
