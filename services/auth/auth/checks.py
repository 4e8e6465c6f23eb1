"""SQL: what must hold in auth, and how many events each aggregate has emitted, as topic, id, sequence."""

CHECKS: dict[str, str] = {}
EMITTED = """
SELECT 'auth.key.v1' AS topic, id::text AS aggregate, sequence FROM api_keys
UNION ALL SELECT 'auth.credential.v1', id::text, ended FROM api_keys WHERE ended > 0
"""
