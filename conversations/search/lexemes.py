"""Database conditions for rows that match a search, in terms of the indexes that migrations 0015, 0023 and 0037 create.

A search that reads rows in another order than that of the index folds the text of each row and compares it. Folding one
of the longest texts takes milliseconds, and senders choose how long texts are. So a search of messages folds no long
text: it looks up once, in a second index, which of them match.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Q
from django.db.models.sql.compiler import SQLCompiler

from conversations.search.query import Alternatives, Word

LONG = 1_000  # bytes; migration 0037 indexes longer texts of messages once more
MAX_INDEXED_INSTANCES = 20  # a condition names at most so many instances; the rows of more are filtered without index


@dataclass(frozen=True)
class Index:
    """The search index of one model.

    Attributes:
        name: the FTS5 table on SQLite; on PostgreSQL, the function that returns a row's lexemes is named after it.
        columns: the arguments of the function.
        condition: which rows the index of PostgreSQL contains.
        long: the table and the column of texts that have an index of their own if they are long; None for neither.
    """

    name: str
    columns: tuple[str, ...]
    condition: Q = Q()  # noqa: RUF009 - nothing changes a Q in place
    long: tuple[str, str] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of texts."""
        return tuple(name for name in self.columns if name not in {"instance_id", "timestamp"})


CONTACTS = Index("contact_search", ("instance_id", "name", "saved_name", "push_name", "phone", "lid"))
GROUPS = Index("group_search", ("instance_id", "name", "original_name", "jid"), Q(contact__isnull=True))
MESSAGES = Index(
    "message_search", ("instance_id", "timestamp", "text"), ~Q(text=""), long=("conversations_message", "text")
)


NULLABLE = frozenset({"original_name"})


class OrEmpty(Func):
    """A text, or "" in place of null, as in the expression of the index."""

    template = "COALESCE(%(expressions)s, '')"


class Matches(Func):
    """The condition that a row matches a search.

    Args:
        index: the search index of the row's model.
        alternatives: the words that the row must have, or alternatives to them.
        instances: the primary keys of the instances to search in; None for all.
        buckets: the buckets of time to search in; None if the index has no buckets.
        path: the path of relations from the queried model to the model of the index, with `__` at the end.
        uses_index: False to let PostgreSQL check each row that it reads in some other order.
    """

    conditional = True
    output_field = BooleanField()

    def __init__(  # noqa: PLR0913 - all arguments together make the condition
        self,
        index: Index,
        alternatives: Alternatives,
        instances: Collection[int] | None,
        buckets: Sequence[int] | None = None,
        *,
        path: str = "",
        uses_index: bool = True,
    ) -> None:
        columns = {name: F(f"{path}{name}") for name in ("pk", *index.columns)}
        super().__init__(*(OrEmpty(column) if name in NULLABLE else column for name, column in columns.items()))
        self.index, self.alternatives = index, alternatives
        few = instances is not None and len(instances) <= MAX_INDEXED_INSTANCES
        self.instances = sorted(instances or ()) if few else []
        self.buckets, self.uses_index = buckets, uses_index

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:  # noqa: ARG002 - Django's hook
        """Return the condition for SQLite."""
        pk, parameters = compiler.compile(self.source_expressions[0])
        table = self.index.name
        found = f"SELECT rowid FROM {table} WHERE {table} MATCH %s"  # noqa: S608 - a constant
        return f"{pk} IN ({found})", [*parameters, self.fts_query()]

    def as_postgresql(self, compiler: SQLCompiler, _connection: BaseDatabaseWrapper, **_: Any) -> tuple[str, list[Any]]:
        """Return the condition for PostgreSQL."""
        columns = [compiler.compile(column)[0] for column in self.source_expressions[1:]]
        lexemes = f"conversations_{self.index.name}({', '.join(columns)})"
        condition = f"{lexemes} @@ %s::tsquery"
        queries = self.ts_queries()
        if self.uses_index:
            return f"({' AND '.join([condition] * len(queries))})", queries
        folded, parameters = self._folded(columns, condition, " & ".join(queries))
        if self.index.long is None:
            return folded, parameters
        table, text = self.index.long
        pk = compiler.compile(self.source_expressions[0])[0]
        sql = (
            f"CASE WHEN octet_length({columns[self.index.columns.index(text)]}) <= {LONG} THEN {folded}"
            f" ELSE COALESCE({self._found_among_long(table, text)} @> {pk}, false) END"
        )
        return sql, [*parameters, *queries]

    def _folded(self, columns: list[str], condition: str, ts_query: str) -> tuple[str, list[Any]]:
        """Return the condition that compares the folded text of a row."""
        words = self._contained_words()
        if not words:
            return f"({condition}) IS TRUE", [ts_query]
        texts = " || ' ' || ".join(columns[self.index.columns.index(name)] for name in self.index.texts)
        folded = (
            f"CASE WHEN octet_length({texts}) = char_length({texts}) THEN lower({texts})"
            f" ELSE conversations_fold({texts}) END"
        )
        return f"CASE WHEN {folded} LIKE ALL(%s) THEN {condition} ELSE false END", [words, ts_query]

    def _found_among_long(self, table: str, text: str) -> str:
        """Return the subquery for the primary keys of all matching rows with long texts.

        It depends on no row, so PostgreSQL runs it once, when it reads the first long text. It finds a key in a
        multirange by bisection. With IN, it would run the query for each row if it expected many keys.
        """
        lexemes = f"conversations_{self.index.name}({', '.join(self.index.columns)})"
        conditions = [f"octet_length({text}) > {LONG}", *[f"{lexemes} @@ %s::tsquery"] * len(self.ts_queries())]
        return f"(SELECT range_agg(int8range(id, id, '[]')) FROM {table} WHERE {' AND '.join(conditions)})"  # noqa: S608 - constants

    def _contained_words(self) -> list[str]:
        """Return the patterns of words that the texts of each matching row contain, if they are folded.

        Looking for them costs a fraction of computing a row's lexemes. The forms of a number are not contained as such.
        """
        if len(self.alternatives) > 1:
            return []
        return [f"%{word.text}%" for word in self.alternatives[0] if not word.text.isdecimal()]

    def ts_queries(self) -> list[str]:
        """Return the search as the texts of one or two `tsquery`, of which a row must match each.

        The instances are a query of their own: within one query, PostgreSQL compares each row of each bucket with all
        other buckets before it looks for the instance, which takes up to half as long again.
        """
        prefixes = [""] if self.buckets is None else [f"m{bucket}x" for bucket in self.buckets]
        words = _any(_ts_alternatives(self.alternatives, prefix) for prefix in prefixes)
        return [_any(f"i{pk}" for pk in self.instances), words] if self.instances else [words]

    def fts_query(self) -> str:
        """Return the search as a query of FTS5."""
        facets = [[f"m{bucket}" for bucket in self.buckets or ()], [f"i{pk}" for pk in self.instances]]
        parts = [f"{{facets}} : ({' OR '.join(names)})" for names in facets if names]
        words = " OR ".join(f"({' AND '.join(map(_fts_word, conjunction))})" for conjunction in self.alternatives)
        return " AND ".join([*parts, f"{{content}} : ({words})"])


def _any(texts: Iterable[str]) -> str:
    return f"({' | '.join(texts)})"


def _ts_alternatives(alternatives: Alternatives, prefix: str) -> str:
    return _any(f"({' & '.join(_ts_word(word, prefix) for word in words)})" for words in alternatives)


def _ts_word(word: Word, prefix: str) -> str:
    return f"'{prefix}{word.text}'{':*' if word.is_prefix else ''}"


def _fts_word(word: Word) -> str:
    return f'"{word.text}"{" *" if word.is_prefix else ""}'
