from decimal import Decimal

import pytest

from conversations.demo.demo_clock import CONNECTED, HOUR
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.demo.template_values import TemplateValues


def template_values(language: str = "pt", seed: int = 0, agent: tuple[str, bool] = ("Caio", False)) -> TemplateValues:
    return TemplateValues(
        rng_for(seed), language, agent, (next(generate_people(rng_for("who"), language, "rio")),), CONNECTED
    )


def reais(text: str) -> Decimal:
    return Decimal(text.removeprefix("R$ ").replace(".", "").replace(",", "."))


@pytest.mark.parametrize("seed", range(20))
def test_a_bill_adds_up(seed: int) -> None:
    quantity, price, freight, total = (
        template_values(seed=seed).render("{qty};{price};{freight};{total}", CONNECTED).split(";")
    )
    assert reais(total) == int(quantity) * reais(price) + reais(freight)


def test_a_slot_has_the_same_value_in_every_line() -> None:
    values = template_values()
    assert values.render("{order} {tracking} {item}", CONNECTED) == values.render(
        "{order} {tracking} {item}", CONNECTED
    )


@pytest.mark.parametrize(
    ("hours", "greeting"), [(0, "bom dia"), (3.99, "bom dia"), (4, "boa tarde"), (10, "boa noite")]
)
def test_the_greeting_depends_on_the_local_time(hours: float, greeting: str) -> None:
    at = CONNECTED + round(hours * HOUR)  # CONNECTED is 8:00 in local time
    assert template_values().render("{greeting}", at) == greeting
    assert template_values().render("{Greeting}!", at) == f"{greeting.capitalize()}!"


def test_one_of_several_words_is_chosen() -> None:
    assert {template_values(seed=seed).render("{Oi|Olá}", CONNECTED) for seed in range(30)} == {"Oi", "Olá"}


def test_thanks_have_the_speakers_gender() -> None:
    assert template_values(agent=("Caio", False)).render("{agent_thanks}", CONNECTED) == "obrigado"
    assert template_values(agent=("Júlia", True)).render("{agent_thanks}", CONNECTED) == "obrigada"


def test_money_has_the_languages_format() -> None:
    assert template_values("pt").render("{minimum}", CONNECTED) == "R$ 500,00"
    assert template_values("en").render("{minimum}", CONNECTED) == "$500.00"


def test_an_unknown_slot_is_an_error() -> None:
    with pytest.raises(KeyError):
        template_values().render("{unicorn}", CONNECTED)
