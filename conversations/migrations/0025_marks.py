"""Lets PostgreSQL index texts with long runs of combining marks quickly, and leave out words that are too long.

`normalize` takes quadratic time in the length of such a run. So `conversations_fold` divides runs first, as
`conversations.evolution.combining_marks` does; the divider U+034F is a mark that it removes afterwards. All other texts
are folded as before, so the indexes are not built again. They are altered without a change, because PostgreSQL compares
the expressions of a query with a cached form of an index's expressions, which contains the old function.
"""

from importlib import import_module
from unicodedata import combining, normalize

from django.db import migrations

search = import_module("conversations.migrations.0015_search")

MAX_RUN = 30  # combining marks
# Folding makes a character of two bytes at most twice as long, and one of three bytes six times, to 18 bytes. So with
# 200 bytes more than characters, no word exceeds the limit of 2,046 bytes.
MAX_EXTRA = 200


def _marks():
    """Return a class of the characters whose normal forms begin with a combining mark, for a regular expression."""
    ranges = []
    for code in range(0x110000):
        if combining(normalize("NFKD", chr(code))[0]):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in ranges)}]"


def _functions():
    yield f"""
        CREATE OR REPLACE FUNCTION conversations_fold(text) RETURNS text {search.IMMUTABLE}
        RETURN btrim(regexp_replace(
            CASE WHEN octet_length($1) = char_length($1) THEN lower(left($1, {search.INDEXED_CHARS}))
            ELSE regexp_replace(lower(normalize(regexp_replace(
                left($1, {search.INDEXED_CHARS}), '({_marks()}{{{MAX_RUN}}})', '\\1\u034f', 'g'
            ), NFKD)), '{search.MARKS}', '', 'g') END,
            '{search.SEPARATORS}', ' ', 'g'))
    """
    yield f"""
        CREATE OR REPLACE FUNCTION conversations_message_search(bigint, timestamptz, text)
        RETURNS tsvector {search.IMMUTABLE}
        RETURN CASE
            WHEN octet_length($3) <= {search.SHORT} AND octet_length($3) - char_length($3) <= {MAX_EXTRA}
            THEN array_to_tsvector(string_to_array(conversations_message_words($1, $2, $3), ' '))
            ELSE to_tsvector('pg_catalog.simple'::regconfig, conversations_message_words($1, $2, $3)) END
    """


def _replace(schema_editor, functions):
    if schema_editor.connection.vendor != "postgresql":
        return
    for function in functions:
        schema_editor.execute(function, params=None)
    for index in search.INDEXES:
        schema_editor.execute(f"ALTER INDEX {index} RESET (fastupdate)")


def replace(apps, schema_editor):
    """Divide long runs of marks, and check for long words in texts that may contain them."""
    _replace(schema_editor, _functions())


def restore(apps, schema_editor):
    """Let the functions do what they did before."""
    _replace(schema_editor, [search.FUNCTIONS[0], search.FUNCTIONS[3]])


class Migration(migrations.Migration):
    dependencies = [("conversations", "0024_event_queue")]
    operations = [migrations.RunPython(replace, restore)]
