"""A process permits as many connections as it may open files for."""

from resource import RLIM_INFINITY

import pytest

from whatsai.server.open_files import plan


@pytest.mark.parametrize(
    ("soft", "hard", "planned"),
    [
        (1024, 524_288, (4200, 2000)),
        (1024, RLIM_INFINITY, (4200, 2000)),
        (4200, 4200, (4200, 2000)),
        (65_536, 65_536, (65_536, 2000)),
        (RLIM_INFINITY, RLIM_INFINITY, (RLIM_INFINITY, 2000)),
        (1024, 1024, (1024, 412)),
        (256, 1024, (1024, 412)),
        (64, 64, (64, 1)),
    ],
)
def test_the_limit_of_open_files_is_raised_and_otherwise_limits_connections(
    soft: int, hard: int, planned: tuple[int, int]
) -> None:
    assert plan(2000, soft, hard) == planned
