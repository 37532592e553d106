"""The setting `INGEST`."""

import pytest
from django.conf import LazySettings

from conversations.ingest import conf
from conversations.ingest.conf import Options
from logs.testing import capture


@pytest.mark.parametrize("old", conf.RENAMED)
def test_an_old_name_sets_the_renamed_option_and_logs_one_warning(old: str, settings: LazySettings) -> None:
    new = conf.RENAMED[old]
    conf._warn_renamed.cache_clear()  # noqa: SLF001 - it warns once for each process
    settings.INGEST = {old: 7}
    with capture() as logged:
        options = Options.read()
        Options.read()
    assert getattr(options, new.lower()) == 7
    assert new in logged.one(context="general", level="WARN", message=old)["message"]


def test_the_new_name_wins_over_the_old_one(settings: LazySettings) -> None:
    for given in ({"FLOOD": 7.0, "RATE_LIMIT": 8.0}, {"RATE_LIMIT": 8.0, "FLOOD": 7.0}):
        settings.INGEST = given
        assert Options.read().rate_limit == 8


def test_an_unknown_option_is_an_error(settings: LazySettings) -> None:
    settings.INGEST = {"UNKNOWN": 1}
    with pytest.raises(TypeError, match="unknown"):
        Options.read()
