"""Settings of the gateway, from the environment."""

import os
from collections.abc import Mapping

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from gateway.routes import OWNERS


def urls(environ: Mapping[str, str]) -> dict[str, str]:
    """Where each owner of paths is: `GATEWAY_<OWNER>_URL`."""
    names = {owner: f"GATEWAY_{owner.upper()}_URL" for owner in OWNERS}
    if absent := [name for name in names.values() if not environ.get(name)]:
        raise ValueError(f"{' and '.join(absent)}: set to the address of that service; several replicas: commas")
    return {owner: environ[name] for owner, name in names.items()}


class Settings(ServiceSettings):
    """Each of `urls` may name several replicas, separated by commas. Rates are requests a second."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", populate_by_name=True, extra="ignore")

    urls: dict[str, str] = Field(default_factory=lambda: urls(os.environ), description="of each owner of paths")
    metrics_port: int = Field(0, ge=0, le=65535, description="where /metrics is; 0: nowhere")
    metrics_host: str = "127.0.0.1"
    rate_per_key: float = Field(100, gt=0)
    rate_per_address: float = Field(200, gt=0)
    trusted_proxies: str = Field("", description="addresses whose X-Forwarded-For is believed, separated by commas")
    upstream_connections: int = Field(64, ge=1)
    upstream_timeout: float = Field(30, gt=0, description="seconds")
    waiting: int = Field(256, ge=1, description="requests that ask to be answered late, at a time")
    waiting_per_key: int = Field(32, ge=1, description="of them for one key")
    streams_per_key: int = Field(50, ge=1, description="event streams that one key holds at a time")
    ring_seconds: float = 600
    ring_bytes: int = 33_554_432
    heartbeat_seconds: float = 15
