"""SQL: what must hold in auth, and how many events each aggregate has emitted, as topic, id, sequence."""

from auth.signin.domain import GUESSES_A_CODE

CHECKS: dict[str, str] = {
    "somebody who may not sign in has a session": """
SELECT s.id::text, s.person_id::text FROM sessions s JOIN people p ON p.id = s.person_id
WHERE s.ended_at IS NULL AND NOT p.enabled
""",
    "a code guessed more often than allowed": f"""
SELECT id::text, guesses::text FROM sign_ins WHERE guesses > {GUESSES_A_CODE}""",  # noqa: S608 - a number of ours
}
EMITTED = """
SELECT 'auth.key.v1' AS topic, id::text AS aggregate, sequence FROM api_keys
UNION ALL SELECT 'auth.credential.v1', id::text, ended FROM api_keys WHERE ended > 0
UNION ALL SELECT 'auth.credential.v1', id::text, 1 FROM sessions WHERE ended_at IS NOT NULL
UNION ALL SELECT 'auth.credential.v1', id::text, 1 FROM visits WHERE ended_at IS NOT NULL
UNION ALL SELECT 'auth.contact.v1', id::text, sequence FROM people
UNION ALL SELECT 'auth.notice.v1', id::text, notices FROM people WHERE notices > 0
UNION ALL SELECT 'auth.link.v1', id::text, said FROM payer_links WHERE said > 0
UNION ALL SELECT 'auth.company.v1', id, sequence FROM company
"""
