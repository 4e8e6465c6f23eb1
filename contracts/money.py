"""Money: integers of minor units with an ISO 4217 code. No floats, and currencies are never added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

# ISO 4217: the active codes of legal tender, by the number of digits after the point.
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP"
    " CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR"
    " IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN"
    " NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP"
    " STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: dict[str, int] = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}

# The largest amount anything here takes: it fits a double exactly (JavaScript clients) and a bigint with room for sums.
LARGEST_MINOR = 10**15 - 1


class CurrencyMismatchError(ArithmeticError):
    """Two currencies met in one sum: a bug, never an input error."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency (USD 12.34 is `Money(1234, "USD")`)."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __str__(self) -> str:
        """As people read it: `USD 12.34`."""
        return f"{self.currency} {Decimal(self.minor).scaleb(-EXPONENTS.get(self.currency, 2)):f}"

    def capped_at(self, limit: Money) -> Money:
        """The smaller of the two, and never below zero."""
        return Money(max(0, min(self.minor, self._same(limit))), self.currency)

    def share(self, rate: Decimal) -> Money:
        """`rate` of the amount, rounded down to a minor unit (surcharges)."""
        return Money(int((self.minor * rate).to_integral_value(ROUND_DOWN)), self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatchError(f"{self.currency} met {other.currency}")
        return other.minor


def zero(currency: str) -> Money:
    return Money(0, currency)


def total(amounts: Sequence[Money], currency: str) -> Money:
    """The sum of amounts of one currency; zero of it when there are none."""
    return sum(amounts, zero(currency))


def half_up(minor: Decimal) -> int:
    """A fraction of minor units rounded half up (away from zero)."""
    return int(minor.to_integral_value(ROUND_HALF_UP))


def split(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`amount` minor units shared in proportion to weights by the largest remainder: parts sum to the amount exactly.

    Equal remainders go to the earlier part. Weights are not negative and not all zero.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative, and not all zero")
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(amount * weights[i] % whole))
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return tuple(parts)
