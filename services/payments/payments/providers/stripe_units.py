"""Stripe's units, if they differ from those of ISO 4217, and the amounts that it can't take."""

from contracts.money import EXPONENTS

_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY"
    " COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR"
    " ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK"
    " MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD"
    " SHP SLE SOS SRD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER"
    " ZAR ZMW"
)
_PRESENTMENT = frozenset(_CODES.split())
# Digits after the point, for currencies in which Stripe differs from ISO: ISK and UGX have two zeros, MGA no fifths.
_DIGITS = {"ISK": 2, "UGX": 2, "MGA": 0}
# The least amount in ISO minor units, where Stripe names one.
_LEAST = {
    "USD": 50, "AED": 200, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30,
    "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200,
    "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000,
}  # fmt: skip
_MOST = 99_999_999


def to_stripe(amount_minor: int, currency: str) -> int:
    """Convert ISO minor units to Stripe's unit. Raises `ValueError` if Stripe has no such amount."""
    shift = _DIGITS.get(currency, EXPONENTS[currency]) - EXPONENTS[currency]
    if shift >= 0:
        return amount_minor * int(10**shift)
    amount, rest = divmod(amount_minor, int(10**-shift))
    if rest:
        raise ValueError(f"Stripe takes no fractions of {currency}")
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Convert Stripe's unit to ISO minor units. Raises `ValueError` if ISO has no such amount."""
    shift = EXPONENTS[currency] - _DIGITS.get(currency, EXPONENTS[currency])
    if shift >= 0:
        return amount * int(10**shift)
    minor, rest = divmod(amount, int(10**-shift))
    if rest:
        raise ValueError(f"{amount} is no whole amount of {currency}")
    return minor


def charged_in(currency: str) -> int:
    """Stripe takes three-decimal currencies in steps of ten, and MGA without its fifths.

    >>> charged_in("KWD"), charged_in("USD"), charged_in("MGA")
    (10, 1, 100)
    """
    digits = _DIGITS.get(currency, EXPONENTS.get(currency, 2))
    return 10 if digits == 3 else int(10 ** max(0, EXPONENTS.get(currency, 2) - digits))


def refusal(amount_minor: int, currency: str) -> str | None:
    """Return why Stripe can't take this amount (ISO minor units); None if it can."""
    if currency not in _PRESENTMENT:
        return f"{currency} is not a currency that Stripe charges in"
    least = _LEAST.get(currency, 1)
    if amount_minor < least:
        return f"the least amount in {currency} is {least} minor units"
    if amount_minor % (step := charged_in(currency)):
        return f"{amount_minor} would be charged, and in {currency} that must be divisible by {step} minor units"
    try:
        amount = to_stripe(amount_minor, currency)
    except ValueError as fault:
        return str(fault)
    return f"the amount has more than eight digits in {currency}" if amount > _MOST else None
