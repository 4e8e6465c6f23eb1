"""Settings of the gateway, from the environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each `…_url` may name several replicas, separated by commas. Rates are requests a second."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", populate_by_name=True, extra="ignore")

    auth_url: str
    invoicing_url: str
    payments_url: str
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
