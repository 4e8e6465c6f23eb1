"""Stripe's test ids, and the outcome of a payment with each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TestMethod:
    """A card `declines` (code, decline code), or `authenticates` its holder first.

    A bank debit `fails` before it clears, `returns` after, or `stays`.
    Its holder `disputes` each charge at once, for that reason. A refund of it `pends` before it succeeds, or fails with
    `refund_fails` after it seemed to have succeeded.
    """

    kind: str
    last4: str
    brand: str = "visa"
    funding: str = "credit"
    declines: tuple[str, str] | None = None
    fails: str | None = None
    returns: str | None = None
    stays: bool = False
    authenticates: bool = False
    disputes: str | None = None
    pends: bool = False
    refund_fails: str | None = None


def _card(last4: str, brand: str = "visa", funding: str = "credit") -> TestMethod:
    return TestMethod("card", last4, brand, funding)


def _declining(last4: str, decline_code: str, code: str = "card_declined") -> TestMethod:
    return TestMethod("card", last4, declines=(code, decline_code))


TEST_METHODS: dict[str, TestMethod] = {
    "pm_card_visa": _card("4242"),
    "pm_card_visa_debit": _card("5556", funding="debit"),
    "pm_card_mastercard": _card("4444", "mastercard"),
    "pm_card_mastercard_debit": _card("3222", "mastercard", "debit"),
    "pm_card_mastercard_prepaid": _card("5100", "mastercard", "prepaid"),
    "pm_card_amex": _card("8431", "amex"),
    "pm_card_discover": _card("9424", "discover"),
    "pm_card_jcb": _card("0505", "jcb"),
    "pm_card_visa_chargeDeclined": _declining("0002", "generic_decline"),
    "pm_card_chargeDeclined": _declining("0002", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _declining("9995", "insufficient_funds"),
    "pm_card_chargeDeclinedInsufficientFunds": _declining("9995", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": _declining("9987", "lost_card"),
    "pm_card_chargeDeclinedLostCard": _declining("9987", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": _declining("9979", "stolen_card"),
    "pm_card_chargeDeclinedStolenCard": _declining("9979", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": _declining("0069", "expired_card", "expired_card"),
    "pm_card_chargeDeclinedIncorrectCvc": _declining("0127", "incorrect_cvc", "incorrect_cvc"),
    "pm_card_chargeDeclinedProcessingError": _declining("0119", "processing_error", "processing_error"),
    "pm_card_chargeCustomerFail": _declining("0341", "generic_decline"),
    "pm_card_authenticationRequired": TestMethod("card", "3184", authenticates=True),
    "pm_card_threeDSecure2Required": TestMethod("card", "3220", authenticates=True),
    "pm_card_createDispute": TestMethod("card", "0259", disputes="fraudulent"),
    "pm_card_createDisputeProductNotReceived": TestMethod("card", "2685", disputes="product_not_received"),
    "pm_card_pendingRefund": TestMethod("card", "7726", pends=True),
    "pm_card_refundFail": TestMethod("card", "5126", refund_fails="expired_or_canceled_card"),
    "pm_usBankAccount_success": TestMethod("us_bank_account", "6789"),
    "pm_usBankAccount_insufficientFunds": TestMethod("us_bank_account", "2227", fails="insufficient_funds"),
    "pm_usBankAccount_accountClosed": TestMethod("us_bank_account", "1113", fails="account_closed"),
    "pm_usBankAccount_noAccount": TestMethod("us_bank_account", "1116", fails="no_account"),
    "pm_usBankAccount_debitNotAuthorized": TestMethod("us_bank_account", "3335", fails="debit_not_authorized"),
    "pm_usBankAccount_dispute": TestMethod("us_bank_account", "9992", returns="R10"),
    "pm_usBankAccount_processing": TestMethod("us_bank_account", "9995", stays=True),
}
# What can be typed on the hosted page: numbers of cards, and account numbers of the bank 110000000.
CARD_NUMBERS = {
    "4242424242424242": "pm_card_visa",
    "4000056655665556": "pm_card_visa_debit",
    "5555555555554444": "pm_card_mastercard",
    "5105105105105100": "pm_card_mastercard_prepaid",
    "4000002760003184": "pm_card_authenticationRequired",
    "4000000000003220": "pm_card_threeDSecure2Required",
    "4000000000000341": "pm_card_chargeCustomerFail",
    "4000000000000259": "pm_card_createDispute",
}
ROUTING_NUMBER = "110000000"
ACCOUNT_NUMBERS = {
    "000123456789": "pm_usBankAccount_success",
    "000222222227": "pm_usBankAccount_insufficientFunds",
    "000111111113": "pm_usBankAccount_accountClosed",
    "000111111116": "pm_usBankAccount_noAccount",
    "000333333335": "pm_usBankAccount_debitNotAuthorized",
}
# Stripe's reason of a dispute, by the ACH return code.
RETURN_REASONS = {
    "R01": "insufficient_funds",
    "R02": "bank_cannot_process",
    "R03": "incorrect_account_details",
    "R04": "incorrect_account_details",
    "R05": "debit_not_authorized",
    "R07": "debit_not_authorized",
    "R08": "customer_initiated",
    "R10": "debit_not_authorized",
    "R29": "debit_not_authorized",
}
