"""Generates invented people with names, phone numbers and WhatsApp addresses.

Brazilian phone numbers consist of 55, an area code, 9 and 0000-xxxx, a range that no operator uses. American (555-01xx)
and British (07700 900xxx) phone numbers come from ranges that are reserved for fiction.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conversations.demo.rng import Random, digits

_FEMININE = {
    "pt": "Mariana Beatriz Camila Larissa Fernanda Juliana Patrícia Aline Renata Tatiane Luana Bruna Débora Simone "
    "Cláudia Sônia Vanessa Priscila Letícia Gabriela Helena Alice Isabela Marina Rosângela",
    "en": "Emma Olivia Grace Hannah Sophie Chloe Megan Laura Amy Rachel Alice Ruth Nora Ellen Zoe",
}
_MASCULINE = {
    "pt": "Rafael Lucas Thiago Felipe Gustavo Rodrigo Bruno Diego Eduardo Marcelo Vinícius Leandro André Caio Henrique "
    "Matheus Otávio Sérgio Paulo Murilo Danilo Fábio Igor Jonas Nelson",
    "en": "James Oliver Thomas Jack Daniel Samuel Harry Ryan Adam Luke Peter Owen Noah Ethan Simon",
}
_SURNAMES = {
    "pt": "Couto Almeida Barbosa Cardoso Dias Esteves Ferreira Gomes Lacerda Macedo Nogueira Oliveira Peixoto Queiroz "
    "Ribeiro Sampaio Teixeira Vasconcelos Xavier Zanetti Moura Pacheco Siqueira Tavares Brandão Farias",
    "en": "Baker Carter Hughes Mitchell Turner Walsh Bennett Foster Reid Palmer Shaw Murphy Ellis Grant Lawson Price",
}
_AREA_CODES = {"pt": ("11", "19", "13", "12"), "rio": ("21", "22", "24", "21")}
_PUSH_NAME_EMOJI = ("☕", "🌻", "⚽", "🎸", "✨", "🐾")
_NUMBERS_PER_AREA = 10_000
_BRITISH_PEOPLE = 2_000


@dataclass(frozen=True)
class Person:
    """An invented contact of an instance.

    Attributes:
        name: the person's name in the address book of the instance's phone.
        push_name: the name in the person's own WhatsApp profile.
        source: the person's device, "android" or "ios".
        is_saved: whether the address book of the instance's phone contains the person.
    """

    name: str
    push_name: str
    is_feminine: bool
    language: str
    phone: str
    lid: str
    source: str
    has_picture: bool
    is_saved: bool

    @property
    def first(self) -> str:
        """The first word of the person's name."""
        return self.name.split()[0]

    @property
    def jid(self) -> str:
        """The person's WhatsApp address (JID) with the phone number."""
        return f"{self.phone}@s.whatsapp.net"

    @property
    def lid_jid(self) -> str:
        """The person's WhatsApp address (JID) with the LID, which hides the phone number."""
        return f"{self.lid}@lid"

    @property
    def picture(self) -> str | None:
        """The URL of the person's profile picture, in WhatsApp's format."""
        if not self.has_picture:
            return None
        return f"https://pps.whatsapp.net/v/t61.24694-24/{self.lid[-9:]}_n.jpg?ccb=11-4&oh=01_Q5Aa&oe=6B000000"


def generate_people(rng: Random, language: str, region: str) -> Iterator[Person]:
    """Yield an endless series of people. Phone numbers are unique; names repeat only after more than a thousand people.

    Args:
        rng: random generator that shuffles the names and draws all other values.
        language: "pt" or "en".
        region: range of the phone numbers: "pt" (São Paulo), "rio", or "en" (United Kingdom and United States).
    """
    firsts = [(name, True) for name in _FEMININE[language].split()]
    firsts += [(name, False) for name in _MASCULINE[language].split()]
    surnames = _SURNAMES[language].split()
    rng.shuffle(firsts)
    rng.shuffle(surnames)
    index = 0
    while True:
        first, is_feminine = firsts[index % len(firsts)]
        surname = surnames[(index + index // len(firsts)) % len(surnames)]
        yield Person(
            name=f"{first} {surname}",
            push_name=_push_name(rng, first, surname),
            is_feminine=is_feminine,
            language=language,
            phone=_phone(region, language, index),
            lid=f"{digits(rng, 3)}{index:05d}{digits(rng, 7)}",
            source=rng.choices(("android", "ios"), (7, 3))[0],
            has_picture=rng.random() < 0.7,  # noqa: PLR2004 - most people have a picture
            is_saved=rng.random() < 0.75,  # noqa: PLR2004 - most people are in the address book
        )
        index += 1


def _push_name(rng: Random, first: str, surname: str) -> str:
    forms = (f"{first} {surname}", first, f"{first} {surname[0]}.", f"{first} {rng.choice(_PUSH_NAME_EMOJI)}")
    return rng.choices(forms, (6, 2, 1, 1))[0]


def _phone(region: str, language: str, index: int) -> str:
    if region == "en":
        is_british = index % 2 == 0 and index < _BRITISH_PEOPLE
        return f"447700900{index // 2:03d}" if is_british else f"1{212 + index // 100}55501{index % 100:02d}"
    # English speakers in Rio get phone numbers from the top of the range, which Portuguese speakers do not get.
    number = index if language == "pt" else _NUMBERS_PER_AREA - 1 - index
    areas = _AREA_CODES[region]
    return f"55{areas[number % len(areas)]}90000{number % _NUMBERS_PER_AREA:04d}"
