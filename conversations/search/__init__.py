"""Search over the names and numbers of contacts, the names of groups, and the texts of messages.

Texts are compared folded: without accents and upper case (`folding`). The database keeps an index of the folded words
of each row, which migrations 0015 and 0023 create:

* PostgreSQL has GIN indexes of lexemes. `i7` stands for the instance with the primary key 7. The word `pedido` of a
  message is the lexeme `m649xpedido`; 649 is the message's bucket of time. So a search for messages reads the words of
  the latest buckets only, however many older messages have the same word.
* SQLite has FTS5 tables, which triggers keep. The column `facets` has the instance and the bucket as `i7 m649`.

`query` parses what people type, `lexemes` writes it as a condition for the database, `buckets` chooses the order in
which buckets are searched, `find` searches, and `snippet` cuts out the part of a text that matches.
"""
