"""The lock under which all of an instance's rows are written: its own row's."""

from typing import TYPE_CHECKING, Any, cast

from django.db import models, transaction

if TYPE_CHECKING:
    from conversations.managers.instance import InstanceManager


def owner(model: type[models.Model]) -> "InstanceManager":
    """Return the manager of the instances that `model`'s rows belong to (models import managers, not they models)."""
    field = model._meta.get_field("instance")  # noqa: SLF001 - Django's documented way to a field
    return cast("InstanceManager", cast("Any", field).related_model.objects)


def delete_locked(rows: models.QuerySet[Any]) -> bool:
    """Delete one row, given as a queryset, and all that hangs on it, while nobody writes to its instance.

    Returns:
        Whether it was there.
    """
    with transaction.atomic():
        instance_id = rows.values_list("instance", flat=True).first()
        if instance_id is None:
            return False
        owner(rows.model).lock(instance_id)
        return bool(rows.delete()[0])
