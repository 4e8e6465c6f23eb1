"""Settings of notify, from the environment."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings

MOST_CONNECTIONS = 4
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(ServiceSettings):
    """`private_key`: a JWK file; auth seals codes and links to its public half.

    `connections`: mails that a process sends at the same time. A crash repeats so many at most, of each of two queues.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", populate_by_name=True, extra="ignore")

    private_key: Path
    unsubscribe_secret: SecretStr
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_starttls: Literal["off", "try", "require"] = "require"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_password_file: Path | None = None
    smtp_ca: Path | None = None
    smtp_seconds: float = Field(20, gt=0)
    sender: str
    connections: int = Field(1, ge=1, le=MOST_CONNECTIONS)

    @model_validator(mode="after")
    def _keeps_the_password_secret(self) -> Self:
        if self.smtp_user and self.smtp_starttls != "require" and self.smtp_host not in LOOPBACK:
            raise ValueError(
                "NOTIFY_SMTP_STARTTLS must be `require`: the password of NOTIFY_SMTP_USER would travel in clear"
            )
        return self

    @property
    def password(self) -> str:
        word, file = self.smtp_password.get_secret_value(), self.smtp_password_file
        return word if word or file is None else file.read_text().strip()
