"""Settings that every service takes from its environment."""

import ssl
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def shared(name: str, default: Any = ...) -> Any:
    """A setting that all services share: `PAIDUP_<NAME>`."""
    return Field(default, validation_alias=AliasChoices(f"PAIDUP_{name}"))


class KafkaSettings(BaseSettings):
    """How Kafka is reached, by whom. `kafka_ca`: the file of the authority that signed the brokers' certificates."""

    model_config = SettingsConfigDict(populate_by_name=True, extra="ignore")

    kafka: str = shared("KAFKA", "127.0.0.1:9092")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = shared("KAFKA_SECURITY", "PLAINTEXT")
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = shared("KAFKA_MECHANISM", "SCRAM-SHA-512")
    kafka_user: str = shared("KAFKA_USER", "")
    kafka_password: SecretStr = shared("KAFKA_PASSWORD", SecretStr(""))
    kafka_password_file: Path | None = shared("KAFKA_PASSWORD_FILE", None)
    kafka_ca: Path | None = shared("KAFKA_CA", None)

    @model_validator(mode="after")
    def _names_who_it_is(self) -> Self:
        if not self.kafka_security.startswith("SASL"):
            return self
        if not self.kafka_user:
            raise ValueError(f"PAIDUP_KAFKA_USER is missing: PAIDUP_KAFKA_SECURITY is {self.kafka_security}")
        if not self.kafka_password.get_secret_value() and self.kafka_password_file is None:
            raise ValueError(
                "PAIDUP_KAFKA_PASSWORD is missing: set it, or PAIDUP_KAFKA_PASSWORD_FILE to a file with it"
            )
        return self

    def kafka_client(self) -> dict[str, Any]:
        """The arguments that every Kafka client of a process gets: where the brokers are, and who asks."""
        found: dict[str, Any] = {"bootstrap_servers": self.kafka, "security_protocol": self.kafka_security}
        if self.kafka_security.endswith("SSL"):
            found["ssl_context"] = ssl.create_default_context(cafile=self.kafka_ca)
        if self.kafka_security.startswith("SASL"):
            file, word = self.kafka_password_file, self.kafka_password.get_secret_value()
            found |= {
                "sasl_mechanism": self.kafka_mechanism,
                "sasl_plain_username": self.kafka_user,
                "sasl_plain_password": word if word or file is None else file.read_text().strip(),
            }
        return found


class ServiceSettings(KafkaSettings):
    """A subclass sets `env_prefix` to its own name, as `PAYMENTS_`."""

    time_zone: str = shared("TIME_ZONE", "America/New_York")
    clock_file: Path | None = shared("CLOCK_FILE", None)
    public_keys: Path | None = shared("PUBLIC_KEYS", None)
    log_level: str = shared("LOG_LEVEL", "info")
    otlp_endpoint: str | None = shared("OTLP_ENDPOINT", None)
    internal_secret: str = shared("INTERNAL_SECRET", "")
    public_url: str = shared("PUBLIC_URL", "http://127.0.0.1:18080")

    host: str = "127.0.0.1"
    port: int = 8080
    owner_url: str = ""
    api_url: str = ""
    work_url: str = ""
    pool_size: int = Field(8, ge=2, le=100)
    batch_size: int = Field(500, ge=1, le=5000)

    @property
    def most_connections(self) -> int:
        """To the database, of one process that serves and works: three pools, the relay, who listens."""
        return 3 * self.pool_size + 2
