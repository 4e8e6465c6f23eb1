"""What auth and support seal to notify: codes, links and texts, as JWE (ECDH-ES, A256GCM) to an X25519 key."""

from __future__ import annotations

from pathlib import Path

import orjson
from joserfc import jwe
from joserfc.jwk import OKPKey

ALGORITHMS = ["ECDH-ES", "A256GCM"]


class Opener:
    """Holds the private key; notify alone has it."""

    def __init__(self, private_key: Path) -> None:
        key = OKPKey.import_key(orjson.loads(private_key.read_bytes()))
        if not key.is_private or key.as_dict(private=False).get("crv") != "X25519":
            raise ValueError(f"NOTIFY_PRIVATE_KEY: {private_key} must hold a private X25519 key")
        self._key = key

    def open(self, sealed: str) -> dict[str, str]:
        """The texts, for the moment in which they are rendered. They are kept nowhere."""
        found = jwe.decrypt_compact(sealed, self._key, algorithms=ALGORITHMS)
        assert found.plaintext is not None
        texts = orjson.loads(found.plaintext)
        return {str(name): str(text) for name, text in texts.items()}
