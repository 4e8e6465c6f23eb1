"""Settings of support, from the environment."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.files.settings import FileSettings

SHORTEST_SECRET = 16


class Settings(FileSettings):
    """`notify_keys`: a JWK set with notify's public key, for what is mailed of tickets.

    `dispute_categories`: codes that customers choose from; in the environment a JSON list.

    `mail_domain`: mails about tickets are answered to addresses there, which `mail_secret` signs. `mail_port`: where
    this process takes the answers; without it another process does.
    """

    model_config = SettingsConfigDict(env_prefix="SUPPORT_", populate_by_name=True, extra="ignore")

    notify_keys: Path
    dispute_categories: list[str] = [  # noqa: RUF012 - pydantic copies it
        "wrong_price", "wrong_quantity", "not_received", "damaged", "already_paid", "duplicate", "wrong_tax", "other",
    ]  # fmt: skip
    mail_domain: str = ""
    mail_secret: SecretStr = SecretStr("")
    mail_host: str = "127.0.0.1"
    mail_port: int | None = Field(None, ge=1, le=65535)
    mail_protocol: Literal["smtp", "lmtp"] = "smtp"
    mail_most_bytes: int = Field(26_214_400, ge=1_048_576, le=104_857_600)
    mail_connections: int = Field(10, ge=1, le=1000)
    mail_seconds: float = Field(120, gt=0)
    mail_authserv_id: str = ""

    @model_validator(mode="after")
    def _signs_its_addresses(self) -> Self:
        if self.mail_domain and len(self.mail_secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"SUPPORT_MAIL_SECRET must have {SHORTEST_SECRET} characters: it signs reply addresses")
        if self.mail_port and not self.mail_domain:
            raise ValueError("SUPPORT_MAIL_DOMAIN is missing: SUPPORT_MAIL_PORT takes mails for addresses there")
        return self
