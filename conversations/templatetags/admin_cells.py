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
def labelled_rows(rows: Iterable[Iterable[SafeString]], headers: Iterable[Mapping[str, Any]]) -> SafeString:
    """Return the rows of the table; the box that selects a row has no label.

    Args:
        rows: the HTML of each cell of each row, as `admin_list.result_list` makes it.
        headers: the columns, in the order of the cells.
    """
    labels = [_label(header) for header in headers]  # once for all rows, because translating costs more than the rest
    return mark_safe("\n".join(f"<tr>{_labelled(cells, labels)}</tr>" for cells in rows))  # noqa: S308 - Django has escaped the cells


def _label(header: Mapping[str, Any]) -> str:
    is_box = "action-checkbox" in header.get("class_attrib", "")
    return "" if is_box else format_html(' data-label="{}"', capfirst(header["text"]))


def _labelled(cells: Iterable[str], labels: Iterable[str]) -> str:
    return "".join(f"{cell[:_START]}{label}{cell[_START:]}" for cell, label in zip(cells, labels, strict=False))
