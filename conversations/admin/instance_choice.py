"""The field of a form in which users choose instances, of which there may be hundreds."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from conversations.admin.markup import select_options
from conversations.models import Instance


class ListBox(forms.SelectMultiple):
    """A list box for hundreds of options (see `select_options`)."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:  # noqa: ARG002 - Django's hook
        """Return the HTML of the list box."""
        options = select_options(self.choices, self.format_value(value))
        attributes = self.build_attrs(self.attrs, {**(attrs or {}), "name": name, "multiple": True})
        return format_html("<select{}>{}</select>", flatatt(attributes), options)


def instance_choice(help_text: Any) -> forms.ModelMultipleChoiceField:  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Return a field for any number of instances."""
    return forms.ModelMultipleChoiceField(
        Instance.objects.only("name", "server_url").order_by("name", "pk"),
        required=False,
        label=capfirst(_("instances")),
        widget=ListBox({"size": 10}),
        help_text=help_text,
    )
