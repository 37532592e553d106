"""A process permits as many connections as it may open files for."""

from resource import RLIM_INFINITY

import pytest

from whatsai.server.open_files import plan


@pytest.mark.parametrize(
    ("soft", "hard", "planned"),
    [
        (1024, 524_288, (16_200, 2000, 10_000)),
        (1024, RLIM_INFINITY, (16_200, 2000, 10_000)),
        (4200, 4200, (4200, 1000, 1000)),
        (9200, 9200, (9200, 2000, 3000)),
        (65_536, 65_536, (65_536, 2000, 10_000)),
        (RLIM_INFINITY, RLIM_INFINITY, (RLIM_INFINITY, 2000, 10_000)),
        (1024, 1024, (1024, 206, 206)),
        (256, 1024, (1024, 206, 206)),
        (64, 64, (64, 1, 0)),
    ],
)
def test_the_limit_of_open_files_is_raised_and_otherwise_limits_connections(
    soft: int, hard: int, planned: tuple[int, int, int]
) -> None:
    assert plan(2000, 10_000, soft, hard) == planned
