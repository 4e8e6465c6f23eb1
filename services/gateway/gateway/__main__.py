"""`python -m gateway [serve]`"""

import socket
import sys
from types import FrameType

import uvicorn
from prometheus_client import start_http_server

from chassis import logs, telemetry
from chassis.http.protocol import BoundedHead
from chassis.memory import collect_seldom
from gateway.app import Gateway
from gateway.settings import Settings

DROP_SECONDS = 30


class Server(uvicorn.Server):
    """Ends the event streams before it waits for connections to finish."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._gateway.streams.close()
        super().handle_exit(sig, frame)


def main() -> None:
    if sys.argv[1:] not in ([], ["serve"]):
        sys.exit("usage: python -m gateway [serve]")
    settings = Settings()
    logs.configure(settings.log_level)
    telemetry.setup("gateway", settings.otlp_endpoint)
    gateway = Gateway(settings)
    if settings.metrics_port:  # not on the public address
        start_http_server(settings.metrics_port, settings.metrics_host)
    collect_seldom()
    config = uvicorn.Config(
        gateway, host=settings.host, port=settings.port, loop="uvloop", http=BoundedHead, ws="none", log_config=None,
        access_log=False, timeout_keep_alive=75, timeout_graceful_shutdown=5, server_header=False, backlog=1024,
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=settings.trusted_proxies or None,
    )  # fmt: skip
    listening = config.bind_socket()
    if sys.platform == "linux":  # inherited by accepted connections: who takes nothing is dropped by the system
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * DROP_SECONDS)
    Server(config, gateway).run(sockets=[listening])


if __name__ == "__main__":
    main()
