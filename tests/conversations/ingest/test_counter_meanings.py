"""The documentation lists the counters of ingestion as the admin and `ingest --status` do."""

import re
from pathlib import Path

from conversations.ingest.counter_meanings import MEANINGS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ingestion.md"


def test_the_documentation_lists_the_same_counters() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("| counter | counts |\n")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)) == {
        name: str(meaning) for name, meaning in MEANINGS.items()
    }
