from decimal import Decimal

import pytest

from conversations.demo.demo_clock import CONNECTED, HOUR
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.demo.template_values import TemplateValues


def props(language: str = "pt", seed: int = 0, agent: tuple[str, bool] = ("Caio", False)) -> TemplateValues:
    return TemplateValues(
        rng_for(seed), language, agent, (next(generate_people(rng_for("who"), language, "rio")),), CONNECTED
    )


def reais(text: str) -> Decimal:
    return Decimal(text.removeprefix("R$ ").replace(".", "").replace(",", "."))


@pytest.mark.parametrize("seed", range(20))
def test_a_bill_adds_up(seed: int) -> None:
    quantity, price, freight, total = props(seed=seed).render("{qty};{price};{freight};{total}", CONNECTED).split(";")
    assert reais(total) == int(quantity) * reais(price) + reais(freight)


def test_a_prop_keeps_its_value_through_the_scene() -> None:
    scene = props()
    assert scene.render("{order} {tracking} {item}", CONNECTED) == scene.render("{order} {tracking} {item}", CONNECTED)


@pytest.mark.parametrize(
    ("hours", "greeting"), [(0, "bom dia"), (3.99, "bom dia"), (4, "boa tarde"), (10, "boa noite")]
)
def test_one_greets_by_the_clock_in_the_office(hours: float, greeting: str) -> None:
    at = CONNECTED + round(hours * HOUR)  # connected at eight in the morning, there
    assert props().render("{greeting}", at) == greeting
    assert props().render("{Greeting}!", at) == f"{greeting.capitalize()}!"


def test_one_of_several_words_is_said() -> None:
    assert {props(seed=seed).render("{Oi|Olá}", CONNECTED) for seed in range(30)} == {"Oi", "Olá"}


def test_who_thanks_does_so_in_their_own_gender() -> None:
    assert props(agent=("Caio", False)).render("{agent_thanks}", CONNECTED) == "obrigado"
    assert props(agent=("Júlia", True)).render("{agent_thanks}", CONNECTED) == "obrigada"


def test_money_is_written_as_the_language_writes_it() -> None:
    assert props("pt").render("{minimum}", CONNECTED) == "R$ 500,00"
    assert props("en").render("{minimum}", CONNECTED) == "$500.00"


def test_a_prop_that_nobody_has_is_an_error() -> None:
    with pytest.raises(KeyError):
        props().render("{unicorn}", CONNECTED)
