"""Every answer shows the write before it, also if another process has answered the write.

`make bench-api` does the same with 100,000 pairs.
"""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from conversations.models import ApiToken
from tests.benchmarks.api_coherence import write_and_read
from tests.cachelayer.gunicorn import serving
from tests.conversations.rows import a_chat, an_instance

PROCESSES = 4


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_every_answer_of_four_processes_shows_the_write_before_it(tmp_path: Path) -> None:
    token = ApiToken.objects.issue(User.objects.create_superuser("ana"))[1]
    chats = [a_chat(an_instance()) for _ in range(PROCESSES)]
    rows = [(chat.pk, chat.instance_id) for chat in chats]
    with serving(tmp_path, f"--workers={PROCESSES}") as gunicorn:
        result = write_and_read(gunicorn.port, token, rows, pairs=200)
    assert result.stale == []
    assert result.pairs == 200
