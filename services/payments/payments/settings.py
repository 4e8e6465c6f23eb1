"""Settings of payments, from the environment."""

from decimal import Decimal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """`surcharge_rate`: of credit card payments, as 0.03 for 3 %."""

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", populate_by_name=True, extra="ignore")

    provider_url: str = "https://api.stripe.com"
    provider_key: SecretStr = SecretStr("")
    webhook_secret: SecretStr = SecretStr("")
    surcharge_rate: Decimal = Field(Decimal("0.03"), ge=0, le=1)
    charges_at_once: int = Field(32, ge=1, le=256)
