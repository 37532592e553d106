"""What people talk about in a scene: goods and prices that add up, places, dates, order numbers."""

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
_LAST_VISIT = 20  # o'clock
_THANKS = {True: "obrigada", False: "obrigado"}

_SLOT = re.compile(r"\{([^{}]+)\}")


class TemplateValues:
    """The props of one scene, drawn once, so that a price said twice is the same price.

    Args:
        chance: where they are drawn from.
        language: "pt" or "en".
        agent: who answers for the instance, and whether that is a woman.
        others: the people at the other end: one, or a group's members.
        start: when the scene begins.
    """

    def __init__(
        self, chance: Random, language: str, agent: tuple[str, bool], others: tuple[Person, ...], start: int
    ) -> None:
        self._chance = chance
        self._language = language
        visit = start + chance.randrange(2, 5) * demo_clock.DAY
        speed, faster, amount = chance.choice(_SPEEDS)
        self._values = {
            "agent": agent[0],
            "agent_thanks": _THANKS[agent[1]],
            "thanks": _THANKS[others[0].is_feminine],
            **{f"thanks{number}": _THANKS[person.is_feminine] for number, person in enumerate(others, 1)},
            "first": others[0].first,
            **{f"m{number}": person.first for number, person in enumerate(others, 1)},
            **{f"lid{number}": person.lid for number, person in enumerate(others, 1)},
            "weekday": demo_clock.weekday(visit, language),
            "date": f"{demo_clock.wall_clock(visit):%d/%m}",
            "missed": f"{demo_clock.wall_clock(start).hour}h",
            "hour": f"{min(demo_clock.wall_clock(start).hour + chance.randrange(2, 5), _LAST_VISIT)}h",
            "speed": str(speed),
            "faster": str(faster),
            "slow": str(speed // 40),
            "amount": f"R$ {amount}",
            "order": f"#{digits(chance, 5)}",
            "invoice": digits(chance, 6),
            "protocol": f"2026{digits(chance, 8)}",
            "tracking": f"BR{digits(chance, 9)}XX",
            "cnpj": "00.000.000/0001-00",
            "district": chance.choice(_DISTRICTS),
            "rio_district": chance.choice(_RIO_DISTRICTS),
            "street": f"{chance.choice(_STREETS)}, {chance.randrange(10, 990)}",
            "street_en": f"{chance.randrange(1, 120)} {chance.choice(_STREETS_EN)}",
            "machine": chance.choice(_MACHINES),
            "colleague": chance.choice(_COLLEAGUES[language]),
            "technician": chance.choice(_TECHNICIANS),
            **_bill(chance, language),
        }

    def render(self, text: str, at: int) -> str:
        """Fill a line's slots: `{item}` by the prop, `{a|b}` by one of the words, `{Greeting}` with a capital letter.

        Raises:
            KeyError: no prop has that name.
        """
        return _SLOT.sub(lambda match: self._filled(match[1], at), text)

    def _filled(self, slot: str, at: int) -> str:
        if "|" in slot:
            return self._chance.choice(slot.split("|"))
        name = slot.lower()
        value = demo_clock.greeting(at, self._language) if name == "greeting" else self._values[name]
        return value if slot == name else value[0].upper() + value[1:]


def _bill(chance: Random, language: str) -> dict[str, str]:
    item, price = chance.choice(_GOODS[language])
    quantity = chance.randrange(1, 5)
    freight = chance.randrange(12, 31) * 100 + 90
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
