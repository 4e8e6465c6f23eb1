"""Settings of support, from the environment."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from chassis.files.settings import FileSettings


class Settings(FileSettings):
    """`notify_keys`: a JWK set with notify's public key, for what is mailed of tickets.

    `dispute_categories`: codes that customers choose from; in the environment a JSON list.
    """

    model_config = SettingsConfigDict(env_prefix="SUPPORT_", populate_by_name=True, extra="ignore")

    notify_keys: Path
    dispute_categories: list[str] = [  # noqa: RUF012 - pydantic copies it
        "wrong_price", "wrong_quantity", "not_received", "damaged", "already_paid", "duplicate", "wrong_tax", "other",
    ]  # fmt: skip
