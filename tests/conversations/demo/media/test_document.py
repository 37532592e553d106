import re

from conversations.demo.media.document import pdf


def test_each_object_is_where_the_table_says() -> None:
    file = pdf([["Título (1)", "a"], ["x", "y"]])
    (start,) = re.findall(rb"startxref\n(\d+)\n", file)
    table = file[int(start) :]
    assert table.startswith(b"xref\n0 8\n")
    for number, place in enumerate(re.findall(rb"(\d{10}) 00000 n", table), 1):
        assert file[int(place) :].startswith(b"%d 0 obj\n" % number)


def test_the_length_of_a_page_counts_bytes() -> None:
    file = pdf([["é", "nota 🧾"]])
    ((length, content),) = re.findall(rb"<</Length (\d+)>>\nstream\n(.*?)\nendstream", file, re.DOTALL)
    assert int(length) == len(content)
    assert b"nota ?" in content


def test_text_cannot_end_the_text() -> None:
    assert rb"(a\) Tj \(b) Tj" in pdf([["a) Tj (b"]])
