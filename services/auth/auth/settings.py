"""Settings of auth, from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """`private_key`: a JWK file with a `kid`; its public half stands in the file of `PAIDUP_PUBLIC_KEYS`.

    `pepper`: the key of all hashes, at least 16 characters. A new one ends every code, link, device and password.
    `notify_keys`: a JWK set with notify's public key. `hashing_threads`: passwords that are checked at a time.
    """

    model_config = SettingsConfigDict(env_prefix="AUTH_", populate_by_name=True, extra="ignore")

    private_key: Path
    pepper: SecretStr = Field(min_length=16)
    notify_keys: Path
    hashing_threads: int = Field(1, ge=1, le=16)
