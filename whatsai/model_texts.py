"""Marks the texts of the project's models for translation: names of models and fields, help texts, labels of choices.

Django takes most of these texts from the names of classes and fields, where no `gettext` can stand. So this module
replaces each of them by its lazy translation, once, when all models are loaded.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.db.models import Field, Model
from django.utils.translation import gettext_lazy, override

APPS = ("logs", "cachelayer", "conversations")


def translate() -> None:
    """Replace the texts of all models by their translations."""
    for app in first_party_apps():
        app.verbose_name = _lazy(app.verbose_name)
        for model in app.get_models():
            _translate_model(model)


def first_party_apps() -> Iterator[AppConfig]:
    """Yield the apps of this project."""
    yield from (app for app in apps.get_app_configs() if app.label in APPS)


def texts() -> Iterator[str]:
    """Yield the names of all models, and all texts of those that the admin shows, in the language that is active."""
    for app in first_party_apps():
        yield str(app.verbose_name)
        for model in app.get_models():
            yield from (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))  # noqa: SLF001 - documented
            for field in _fields(model) if admin.site.is_registered(model) else ():
                yield from (str(field.verbose_name), str(field.help_text))
                yield from (str(label) for _value, label in field.choices or ())


def _translate_model(model: type[Model]) -> None:
    options: Any = model._meta  # noqa: SLF001 - documented
    options.verbose_name, options.verbose_name_plural = _lazy(options.verbose_name), _lazy(options.verbose_name_plural)
    for field in _fields(model):
        field.verbose_name, field.help_text = _lazy(field.verbose_name), _lazy(field.help_text)
        if field.choices:
            field.choices = [(value, _lazy(label)) for value, label in field.choices]


def _fields(model: type[Model]) -> list[Any]:
    return [field for field in model._meta.get_fields() if isinstance(field, Field)]  # noqa: SLF001 - documented


def _lazy(text: Any) -> Any:
    with override(None):  # some texts are lazy already, such as plural names, which Django makes of singular ones
        english = str(text)
    return gettext_lazy(english) if english else text
