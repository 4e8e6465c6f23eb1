"""Ways to pay set up on the hosted page: given, verified, kept with the customer; and the events it causes."""

from sandbox import render, render_setup
from sandbox.catalogue import TEST_METHODS
from sandbox.clock import Clock
from sandbox.errors import ApiError, invalid
from sandbox.events import Events
from sandbox.records import Method, Session, Setup, new_id
from sandbox.store import Store

AMOUNTS, DESCRIPTOR = (32, 45), "SM11AA"
_MOST_ATTEMPTS = 10
_DEPOSIT = "payment_method_microdeposit"
_PREFIX = f"{_DEPOSIT}_verification"


class Setups:
    """Each method is one change, saved whole with its events."""

    def __init__(self, store: Store, clock: Clock, events: Events, public_url: str) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._public_url = public_url

    def open(self, session: Session, setup: Setup) -> None:
        self._save_setup(setup, "setup_intent.created")
        self._save_session(session)

    def session(self, identifier: str) -> Session | None:
        """The session as it is now: an open one ends when its time is over."""
        session = self._store.kept(Session, identifier)
        if session is not None and session.status == "open" and session.expires <= self._clock.now():
            session.status = "expired"
        return session

    def setup_of(self, session: Session) -> Setup:
        setup = self._store.kept(Setup, session.setup)
        assert setup is not None, "a session has a setup intent"
        return setup

    def page_of(self, session: Session) -> str:
        return f"{self._public_url}/setup/{session.id}"

    def expire(self, session: Session) -> None:
        self._must_be_open(session)
        session.status = "expired"
        self._save_session(session, "checkout.session.expired")

    def submit(self, session: Session, method: Method, *, deposits: bool = False) -> Setup:
        """Take the form of the page. The method is attached once nothing more is asked for."""
        self._must_be_open(session)
        setup = self.setup_of(session)
        self._store.add_method(method)
        setup.method, setup.error = method.id, None
        if TEST_METHODS[method.token].authenticates:
            setup.status, setup.action = "requires_action", f"{self._public_url}/authenticate/{setup.id}"
            self._save_setup(setup, "setup_intent.requires_action")
            return setup
        session.status = "complete"
        if deposits:
            setup.status, setup.arrives = "requires_action", self._clock.now() + 2 * 86400
            self._save_setup(setup, "setup_intent.requires_action")
            self._save_session(session, "checkout.session.completed")
            return setup
        self._succeed(setup, method)
        self._save_session(session, "checkout.session.completed")
        return setup

    def authenticate(self, setup: Setup, session: Session, *, passed: bool) -> None:
        """What the customer did on the page of the card's bank. After a failure another card can be given."""
        method = self._store.method(setup.method or "")
        if setup.status != "requires_action" or setup.action is None or method is None:
            raise invalid(f"This SetupIntent is {setup.status}; nothing is to be authenticated.", "intent")
        if passed:
            setup.action = None
            session.status = "complete"
            self._succeed(setup, method)
            self._save_session(session, "checkout.session.completed")
        else:
            self._fail(setup, "setup_intent_authentication_failure")

    def verify(self, setup: Setup, amounts: tuple[int, ...] | None, code: str | None) -> ApiError | None:
        """The amounts or the code of the deposits. A wrong answer is returned, not raised, because it counts."""
        method = self._store.method(setup.method or "")
        if setup.status != "requires_action" or setup.arrives is None or method is None:
            message = f"This SetupIntent has a status of {setup.status}; it waits for no micro-deposits."
            raise ApiError(400, message, code="setup_intent_unexpected_state", param="intent")
        if (amounts is None) == (code is None):
            raise invalid("Give amounts or descriptor_code.", "amounts", "parameter_missing")
        if sorted(amounts or AMOUNTS) == sorted(AMOUNTS) and (code or DESCRIPTOR).upper() == DESCRIPTOR:
            setup.arrives = None
            self._succeed(setup, method)
            return None
        setup.attempts += 1
        if setup.attempts >= _MOST_ATTEMPTS:
            error = f"{_PREFIX}_attempts_exceeded"
            self._fail(setup, error)
            return ApiError(400, "The deposits were guessed too often.", code=error)
        self._save_setup(setup)
        which = "amounts" if code is None else "descriptor_code"
        return ApiError(400, f"The {which} given do not match.", code=f"{_PREFIX}_{which}_mismatch", param=which)

    def _succeed(self, setup: Setup, method: Method) -> None:
        setup.status = "succeeded"
        method.customer = setup.customer
        self._store.save_method(method)
        self._events.emit("payment_method.attached", render.method(method))
        self._save_setup(setup, "setup_intent.succeeded")

    def _fail(self, setup: Setup, error: str) -> None:
        setup.status, setup.error, setup.method, setup.action, setup.arrives = (
            "requires_payment_method", error, None, None, None,
        )  # fmt: skip
        self._save_setup(setup, "setup_intent.setup_failed")

    def _must_be_open(self, session: Session) -> None:
        if session.status != "open":
            raise invalid(f"This Checkout Session is {session.status}.", "id")

    def _save_setup(self, setup: Setup, *kinds: str) -> None:
        self._store.keep(setup, parent=setup.session)
        for kind in kinds:
            self._events.emit(kind, render_setup.setup(setup, self._public_url))

    def _save_session(self, session: Session, *kinds: str) -> None:
        self._store.keep(session, parent=session.customer)
        for kind in kinds:
            self._events.emit(kind, render_setup.session(session, self.page_of(session)))


def new_session(customer: str, types: list[str], urls: tuple[str, str | None], at: int) -> tuple[Session, Setup]:
    """An open session of 24 hours, and its setup intent. `urls`: of success, and of giving up."""
    setup, session = new_id("seti"), new_id("cs_test")
    return (
        Session(session, at, at + 86400, customer, setup, types, urls[0], urls[1], {}),
        Setup(setup, at, customer, session, types, {}),
    )
