"""Gives each cell of an admin list the title of its column, which narrow screens show beside the value."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()
_START = len("<td")  # Django's cells begin with <td or <th


@register.simple_tag
def labelled_cells(cells: Iterable[SafeString], headers: Iterable[Mapping[str, Any]]) -> SafeString:
    """Return the cells of a row; the box that selects the row has no label.

    Args:
        cells: the HTML of each cell, as `admin_list.result_list` makes it.
        headers: the columns, in the same order.
    """
    return mark_safe("".join(_labelled(cell, header) for cell, header in zip(cells, headers, strict=False)))  # noqa: S308 - Django has escaped the cells


def _labelled(cell: SafeString, header: Mapping[str, Any]) -> str:
    if "action-checkbox" in header.get("class_attrib", ""):
        return cell
    return cell[:_START] + format_html(' data-label="{}"', capfirst(header["text"])) + cell[_START:]
