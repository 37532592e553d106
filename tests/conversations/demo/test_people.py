import re
from itertools import islice

import pytest

from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.evolution import jid

FICTION = {
    ("pt", "pt"): r"55(11|12|13|19)90000\d{4}",
    ("pt", "rio"): r"55(21|22|24)90000\d{4}",
    ("en", "rio"): r"55(21|22|24)90000\d{4}",
    ("en", "en"): r"447700900\d{3}|1\d{3}55501\d\d",
}


@pytest.mark.parametrize(("language", "region"), FICTION)
def test_everybody_has_addresses_of_their_own_in_a_range_that_is_nobodys(language: str, region: str) -> None:
    people = list(islice(generate_people(rng_for("test"), language, region), 4000))
    assert all(re.fullmatch(FICTION[language, region], person.phone) for person in people)
    assert len({jid.parse(person.jid) for person in people}) == 4000
    assert len({jid.parse(person.lid_jid) for person in people}) == 4000


def test_speakers_of_two_languages_in_one_region_share_no_number() -> None:
    numbers = [
        {person.phone for person in islice(generate_people(rng_for(name), name, "rio"), 4000)} for name in ("pt", "en")
    ]
    assert not numbers[0] & numbers[1]


def test_names_repeat_only_after_all_have_been_given() -> None:
    names = [person.name for person in islice(generate_people(rng_for("test"), "pt", "pt"), 1000)]
    assert len(set(names)) == 1000
