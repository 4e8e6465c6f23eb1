"""Seals what only notify may read, to its public key (JWE, RFC 7516)."""

from __future__ import annotations

from pathlib import Path

import orjson
from joserfc import jwe
from joserfc.jwk import OKPKey

ALGORITHM, ENCRYPTION = "ECDH-ES", "A256GCM"


class Sealer:
    """`keys`: a file with notify's JWK set; its first key is used. Changing the file takes a restart."""

    def __init__(self, keys: Path) -> None:
        data = orjson.loads(keys.read_bytes())["keys"][0]
        self._key = OKPKey.import_key(data)
        if self._key.is_private:
            raise ValueError(f"{keys} must hold public keys: only notify may open what is sealed")

    def seal(self, **texts: str) -> str:
        """The texts by their names, as a JWE in its compact form."""
        header = {"alg": ALGORITHM, "enc": ENCRYPTION, "kid": str(self._key.kid)}
        return jwe.encrypt_compact(header, orjson.dumps(texts), self._key)
