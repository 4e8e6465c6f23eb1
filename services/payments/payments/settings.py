"""Settings of payments, from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from payments.collecting.data_files import SURCHARGE_RULES


class Settings(ServiceSettings):
    """`surcharge_rules`: a file of the deployment's own rules, instead of the shipped one.

    `address_secret`: the secret with which client addresses in consents are hashed; without it no address is kept.
    """

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", populate_by_name=True, extra="ignore")

    provider_url: str = "https://api.stripe.com"
    provider_key: SecretStr = SecretStr("")
    webhook_secret: SecretStr = SecretStr("")
    address_secret: SecretStr = SecretStr("")
    surcharge_rules: Path = SURCHARGE_RULES
    charges_at_once: int = Field(32, ge=1, le=256)
