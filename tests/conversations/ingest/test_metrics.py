"""Ingestion counts events in memory and adds the counts to totals in the database."""

import pytest
from django.db import OperationalError, connection

from conversations.ingest import metrics
from conversations.models import Instance


@pytest.mark.django_db(transaction=True)
def test_a_flush_drops_counts_of_a_deleted_instance_and_keeps_the_others(instance: Instance) -> None:
    deleted = Instance.objects.create(name="deleted")
    metrics.reset_after_fork()
    for row in (deleted, instance):
        metrics.increment(row.pk, "received")
    deleted.delete()
    for _ in range(2):
        metrics.flush()
    assert metrics.for_instance(instance.pk) == {"received": 1}


@pytest.mark.django_db
def test_counts_stay_in_memory_when_a_flush_fails(instance: Instance) -> None:
    metrics.reset_after_fork()
    for name in ("received", "received", "delayed"):
        metrics.increment(instance.pk, name)

    def fail(*_: object) -> None:
        raise OperationalError("unavailable")

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        metrics.flush()
    metrics.increment(instance.pk, "received")
    metrics.flush()
    assert metrics.for_instance(instance.pk) == {"delayed": 1, "received": 3}


@pytest.mark.django_db
def test_totals_add_the_counts_of_all_instances(instance: Instance) -> None:
    other = Instance.objects.create(name="support")
    metrics.add_to_totals({(instance.pk, "applied"): 2, (other.pk, "applied"): 3, (other.pk, "failed"): 0})
    assert metrics.totals() == {"applied": 5}
