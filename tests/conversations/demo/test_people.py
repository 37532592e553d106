import re
from itertools import islice

import pytest

from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.evolution import jid

PHONE_PATTERNS = {
    ("pt", "pt"): r"55(11|12|13|19)90000\d{4}",
    ("pt", "rio"): r"55(21|22|24)90000\d{4}",
    ("en", "rio"): r"55(21|22|24)90000\d{4}",
    ("en", "en"): r"447700900\d{3}|1\d{3}55501\d\d",
}


@pytest.mark.parametrize(("language", "region"), PHONE_PATTERNS)
def test_addresses_are_unique_and_in_an_unused_range(language: str, region: str) -> None:
    people = list(islice(generate_people(rng_for("test"), language, region), 4000))
    assert all(re.fullmatch(PHONE_PATTERNS[language, region], person.phone) for person in people)
    assert len({jid.parse(person.jid) for person in people}) == 4000
    assert len({jid.parse(person.lid_jid) for person in people}) == 4000


def test_two_languages_of_one_region_share_no_number() -> None:
    numbers = [
        {person.phone for person in islice(generate_people(rng_for(name), name, "rio"), 4000)} for name in ("pt", "en")
    ]
    assert not numbers[0] & numbers[1]


def test_the_first_thousand_names_are_unique() -> None:
    names = [person.name for person in islice(generate_people(rng_for("test"), "pt", "pt"), 1000)]
    assert len(set(names)) == 1000
