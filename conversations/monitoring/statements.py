"""Times all SQL statements of this process."""

from cachelayer.runtime.histograms import FAST, histogram
from logs import sql_logging

STATEMENTS = "whatsai_sql_seconds"


def observe() -> None:
    """Count the duration of each SQL statement from now on."""
    observer = histogram(STATEMENTS, FAST).observe
    if observer not in sql_logging.observers:
        sql_logging.observers.append(observer)
