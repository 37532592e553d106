from importlib import import_module

import pytest

import cachelayer
from cachelayer import cache
from cachelayer.runtime.runtime import CacheRuntime, memory_store
from conversations.models import Instance
from tests.conversations.rows import an_instance


@pytest.mark.parametrize("name", cachelayer.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    module = import_module("cachelayer")
    assert getattr(module, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = cachelayer.nonsense


@pytest.mark.django_db(transaction=True)
def test_managers_and_values_use_a_store_that_replaces_the_one_they_were_bound_to(cache_runtime: CacheRuntime) -> None:
    row = an_instance()
    assert Instance.objects.fetch(row.pk) == row
    cache.set("x", 1)
    cache_runtime.use_store(memory_store)
    local = cache_runtime.local.namespaces["instances"]
    assert row.pk not in local.entries
    assert cache.get("x") is None
    assert Instance.objects.fetch(row.pk) == row
    assert row.pk in local.entries
    row.profile_name = "new"
    row.save()
    assert Instance.objects.fetch(row.pk).profile_name == "new"
