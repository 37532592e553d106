"""Replaces slots in scripts, such as {item}, by values: goods, prices that add up, places, dates, order numbers."""

import re

from conversations.demo import demo_clock
from conversations.demo.people import Person
from conversations.demo.rng import Random, digits

_GOODS = {
    "pt": (
        ("cafeteira italiana 6 xícaras", 8990),
        ("prensa francesa 600 ml", 11900),
        ("moedor manual de cerâmica", 15900),
        ("chaleira bico de ganso", 21900),
        ("balança com timer", 13900),
        ("kit coador de cerâmica", 9450),
        ("garrafa térmica 1 litro", 12990),
        ("kit com 4 canecas esmaltadas", 10900),
        ("jarra medidora de vidro", 5990),
        ("pote hermético para grãos", 7450),
    ),
    "en": (
        ("the two-person tent", 18900),
        ("the down jacket", 14500),
        ("the trail backpack 40L", 11900),
        ("the rain shell", 9900),
        ("the camping stove", 5450),
        ("the merino base layer", 6900),
        ("the head torch", 3495),
    ),
}
_DISTRICTS = ("Vila Mariana", "Pinheiros", "Tatuapé", "Santana", "Moema", "Lapa", "Ipiranga", "Butantã")
_RIO_DISTRICTS = ("Botafogo", "Tijuca", "Copacabana", "Méier", "Flamengo", "Grajaú", "Laranjeiras", "Icaraí")
_STREETS = ("Rua das Acácias", "Rua dos Ipês", "Avenida das Palmeiras", "Rua do Sabiá", "Travessa do Sol")
_STREETS_EN = ("Maple Street", "Station Road", "Mill Lane", "Orchard Close")
_MACHINES = ("Bella 15 bar", "Prima Duo", "Aroma Compact")
_COLLEAGUES = {"pt": ("Ana Paula", "Cristina", "Dona Marta", "Sandra"), "en": ("Jenny", "Maggie", "Susan")}
_TECHNICIANS = ("Wagner", "Cleiton", "Josué")
_SPEEDS = ((200, 400, "89,90"), (300, 500, "99,90"), (500, 700, "119,90"))
_LAST_VISIT_HOUR = 20
_THANKS = {True: "obrigada", False: "obrigado"}

_SLOT = re.compile(r"\{([^{}]+)\}")


class TemplateValues:
    """The values that replace the slots of one script. A slot has the same value in every line of the script.

    Args:
        rng: random generator that draws the values.
        language: "pt" or "en".
        agent: the person who answers for the instance: (name, whether the name is feminine).
        others: the customer of a direct chat, or the members of a group.
        start: time when the script begins.
    """

    def __init__(
        self, rng: Random, language: str, agent: tuple[str, bool], others: tuple[Person, ...], start: int
    ) -> None:
        self._rng = rng
        self._language = language
        visit = start + rng.randrange(2, 5) * demo_clock.DAY
        speed, faster, amount = rng.choice(_SPEEDS)
        self._values = {
            "agent": agent[0],
            "agent_thanks": _THANKS[agent[1]],
            "thanks": _THANKS[others[0].is_feminine],
            **{f"thanks{number}": _THANKS[person.is_feminine] for number, person in enumerate(others, 1)},
            "first": others[0].first,
            **{f"m{number}": person.first for number, person in enumerate(others, 1)},
            **{f"lid{number}": person.lid for number, person in enumerate(others, 1)},
            "weekday": demo_clock.weekday(visit, language),
            "date": f"{demo_clock.local_time(visit):%d/%m}",
            "missed": f"{demo_clock.local_time(start).hour}h",
            "hour": f"{min(demo_clock.local_time(start).hour + rng.randrange(2, 5), _LAST_VISIT_HOUR)}h",
            "speed": str(speed),
            "faster": str(faster),
            "slow": str(speed // 40),
            "amount": f"R$ {amount}",
            "order": f"#{digits(rng, 5)}",
            "invoice": digits(rng, 6),
            "protocol": f"{demo_clock.local_time(start).year}{digits(rng, 8)}",
            "tracking": f"BR{digits(rng, 9)}XX",
            "cnpj": "00.000.000/0001-00",
            "district": rng.choice(_DISTRICTS),
            "rio_district": rng.choice(_RIO_DISTRICTS),
            "street": f"{rng.choice(_STREETS)}, {rng.randrange(10, 990)}",
            "street_en": f"{rng.randrange(1, 120)} {rng.choice(_STREETS_EN)}",
            "machine": rng.choice(_MACHINES),
            "colleague": rng.choice(_COLLEAGUES[language]),
            "technician": rng.choice(_TECHNICIANS),
            **_bill(rng, language),
        }

    def render(self, text: str, at: int) -> str:
        """Replace the slots in a line of a script.

        `{item}` becomes the value named item, `{Item}` the same value with a capital letter, and `{a|b}` either a or b.

        Args:
            text: the line of the script.
            at: the time of the line, which determines the greeting.

        Raises:
            KeyError: no value has the name of a slot.
        """
        return _SLOT.sub(lambda match: self._value(match[1], at), text)

    def _value(self, slot: str, at: int) -> str:
        if "|" in slot:
            return self._rng.choice(slot.split("|"))
        name = slot.lower()
        value = demo_clock.greeting(at, self._language) if name == "greeting" else self._values[name]
        return value if slot == name else value[0].upper() + value[1:]


def _bill(rng: Random, language: str) -> dict[str, str]:
    item, price = rng.choice(_GOODS[language])
    quantity = rng.randrange(1, 5)
    freight = rng.randrange(12, 31) * 100 + 90
    cents = {
        "price": price,
        "freight": freight,
        "total": quantity * price + freight,
        "discounted": round(quantity * price * 0.9),
        "third": round(price / 3),
        "minimum": 50_000,
    }
    return {"item": item, "qty": str(quantity)} | {name: _money(value, language) for name, value in cents.items()}


def _money(cents: int, language: str) -> str:
    text = f"{cents / 100:,.2f}"
    return f"${text}" if language == "en" else "R$ " + text.translate(str.maketrans(",.", ".,"))
