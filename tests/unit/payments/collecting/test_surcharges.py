"""What a credit card carries on top, by dated rules."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from payments.collecting.data_files import SURCHARGE_RULES, read_surcharge_rules
from payments.collecting.domain.surcharges import SurchargeRule, highest_rate, surcharge, terms_for
from payments.data_files import DataFileError
from payments.methods.domain.consents import Terms
from payments.methods.domain.methods import Method

DAY = date(2026, 3, 1)
CREDIT = Method("m", "c", "pm_1", "card", "credit", "visa", "4242")
SHIPPED = read_surcharge_rules(SURCHARGE_RULES).rules


def rule(name: str = "r", rate: str = "0.03", **more: object) -> SurchargeRule:
    plain = SurchargeRule(name, date(2020, 1, 1), None, None, None, None, None, "credit", Decimal(rate), None, "a test")
    return replace(plain, **more)  # type: ignore[arg-type]


def living_in(state: str | None, country: str = "US") -> Method:
    return replace(CREDIT, country=country, state=state)


def rate_of(rules: tuple[SurchargeRule, ...], method: Method, currency: str = "USD", on: date = DAY) -> Decimal:
    return terms_for(rules, method, currency, on).rate


class TestPlaces:
    @pytest.mark.parametrize("currency", ["EUR", "USD", "GBP", "JPY"])
    @pytest.mark.parametrize("country", ["DE", "FR", "GB", "CA", "JP", "GU"])
    def test_none_outside_the_united_states(self, country: str, currency: str) -> None:
        card = living_in(None, country)
        assert terms_for(SHIPPED, card, currency, DAY) == Terms()
        broad = (rule("all"), rule("euro", currency=currency), rule("visa", brand="visa", currency=currency))
        assert terms_for(broad, card, currency, DAY) == Terms()
        assert highest_rate(broad, card, DAY) == 0

    def test_elsewhere_a_rule_names_the_place(self) -> None:
        rules = (*SHIPPED, rule("canada", "0.024", country="CA"))
        assert rate_of(rules, living_in("ON", "CA"), "CAD") == Decimal("0.024")
        assert rate_of(rules, living_in(None, "FR"), "CAD") == 0

    @pytest.mark.parametrize("currency", ["EUR", "GBP", "CAD", "JPY", "KWD"])
    def test_unknown_address_in_other_currencies_carries_none(self, currency: str) -> None:
        rules = (*SHIPPED, rule("this", currency=currency))
        assert terms_for(rules, CREDIT, currency, DAY) == Terms()
        assert rate_of(rules, living_in("NY"), currency) == Decimal("0.03")

    def test_unknown_address_in_dollars_carries_the_general(self) -> None:
        assert rate_of(SHIPPED, CREDIT) == Decimal("0.03")
        assert highest_rate(SHIPPED, CREDIT, DAY) == Decimal("0.03")


MINOR = st.integers(1, 10**13)
RATES = st.decimals("0", "1", places=4)


class TestRules:
    @pytest.mark.parametrize("funding", ["debit", "prepaid", "unknown", None])
    @pytest.mark.parametrize("kind", ["card", "bank_account"])
    def test_only_credit_cards_carry_a_surcharge(self, funding: str | None, kind: str) -> None:
        method = replace(CREDIT, kind=kind, funding=funding)
        assert terms_for((rule(rate="1"),), method, "USD", DAY) == Terms()
        assert not surcharge(method, Money(10_000, "USD"), Terms(Decimal(1)))

    def test_shipped_rates_follow_the_law_of_the_state(self) -> None:
        assert rate_of(SHIPPED, CREDIT) == Decimal("0.03")
        assert rate_of(SHIPPED, living_in("NY")) == Decimal("0.03")
        assert [rate_of(SHIPPED, living_in(state)) for state in ("CT", "MA", "ME", "PR")] == [0, 0, 0, 0]
        assert rate_of(SHIPPED, living_in(None, "PR")) == 0
        assert rate_of(SHIPPED, living_in("CO")) == Decimal("0.02")
        assert rate_of(SHIPPED, living_in("CO"), on=date(2022, 6, 30)) == Decimal("0.03")
        assert rate_of(SHIPPED, CREDIT, on=date(2019, 12, 31)) == 0
        assert all(each.source for each in SHIPPED)

    def test_most_specific_wins_and_place_comes_first(self) -> None:
        rules = (
            rule("all", "0.01"),
            rule("euro", "0.02", currency="EUR"),
            rule("amex", "0.03", brand="amex"),
            rule("amex-euro", "0.04", brand="amex", currency="EUR"),
            rule("france", "0", country="FR"),
            rule("ohio", "0.05", country="US", state="OH"),
        )
        amex = replace(living_in("NY"), brand="amex")
        assert rate_of(rules, CREDIT) == Decimal("0.01")
        assert rate_of(rules, living_in("NY"), "EUR") == Decimal("0.02")
        assert rate_of(rules, amex) == Decimal("0.03")
        assert rate_of(rules, amex, "EUR") == Decimal("0.04")
        assert rate_of(rules, replace(amex, country="FR"), "EUR") == 0
        assert rate_of(rules, replace(amex, country="US", state="OH"), "EUR") == Decimal("0.05")
        assert highest_rate(rules, amex, DAY) == Decimal("0.04")

    def test_later_of_two_alike_holds_within_its_days(self) -> None:
        rules = (
            rule("old", "0.03"),
            rule("new", "0.02", valid_from=date(2026, 3, 1), valid_until=date(2026, 3, 31)),
        )
        days = (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))
        assert [rate_of(rules, CREDIT, on=day) for day in days] == [
            Decimal(r) for r in ("0.03", "0.02", "0.02", "0.03")
        ]

    @given(minor=MINOR, rate=RATES, cap=st.none() | st.integers(0, 10**6), step=st.sampled_from([1, 10, 100]))
    def test_surcharge_is_rounded_down_capped_and_chargeable(
        self, minor: int, rate: Decimal, cap: int | None, step: int
    ) -> None:
        amount = Money(minor, "USD")
        share = surcharge(CREDIT, amount, Terms(rate, cap), step)
        assert 0 <= share.minor <= minor * rate
        assert cap is None or share.minor <= cap
        assert step > 1 or share.minor == min(int(minor * rate), minor * rate if cap is None else cap)
        assert not share or (minor + share.minor) % step == 0


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text)
    return path


GOOD = 'edition = 2026-11-24\n[[rules]]\nid = "a"\nvalid_from = 2020-01-01\nrate = "0.03"\nsource = "s"\n'


class TestRuleFile:
    def test_digest_depends_on_content_and_not_on_layout(self, tmp_path: Path) -> None:
        first = read_surcharge_rules(written(tmp_path, GOOD))
        again = read_surcharge_rules(written(tmp_path, "# a remark\n" + GOOD))
        other = read_surcharge_rules(written(tmp_path, GOOD.replace("0.03", "0.04")))
        assert first == again
        assert first.digest != other.digest
        assert [each.id for each in first.rules] == ["2026-11-24/a"]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (('rate = "0.03"', 'rate = "1.03"'), "rate"),
            (('source = "s"', 'source = "s"\nstate = "CT"'), "country"),
            (('source = "s"', 'source = "s"\ncap_minor = 500'), "currency"),
            (('source = "s"', 'source = "s"\nfunding = "debit"'), "funding"),
            (('source = "s"', 'source = "s"\nsurprise = 1'), "surprise"),
            (('source = "s"', 'source = "s"\nvalid_until = 2019-01-01'), "valid_until"),
            (("[[rules]]", 'rules = "none"'), "rules"),
        ],
    )
    def test_wrong_value_is_refused_with_path_and_reason(
        self, tmp_path: Path, change: tuple[str, str], why: str
    ) -> None:
        with pytest.raises(DataFileError, match=f"rules.toml[\\s\\S]*{why}"):
            read_surcharge_rules(written(tmp_path, GOOD.replace(*change)))

    def test_two_rules_for_the_same_case_are_refused(self, tmp_path: Path) -> None:
        twice = GOOD + GOOD.partition("\n")[2].replace('"a"', '"b"')
        with pytest.raises(DataFileError, match="which of them holds"):
            read_surcharge_rules(written(tmp_path, twice))
