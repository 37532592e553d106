"""The content decides the type; only types that run no script are shown in a page; names get the right extension."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.media.file_types import MAX_NAME_CHARS, OTHER, PNG, clean_name, detect, download_name

SAFE = {
    b"\xff\xd8\xff\xe0\x00\x10JFIF": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF89a": "image/gif",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
    b"RIFF\x00\x00\x00\x00WAVEfmt ": "audio/wav",
    b"OggS\x00\x02": "audio/ogg",
    b"ID3\x04": "audio/mpeg",
    b"\xff\xf1P\x80": "audio/aac",
    b"#!AMR\n": "audio/amr",
    b"\x00\x00\x00\x18ftypmp42": "video/mp4",
    b"\x00\x00\x00\x18ftypM4A ": "audio/mp4",
    b"\x00\x00\x00\x18ftyp3gp4": "video/3gpp",
    b"\x1aE\xdf\xa3\x01": "video/webm",
    b"%PDF-1.7": "application/pdf",
}
UNSAFE = [
    b"", b"<!doctype html><script>", b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<?xml version='1.0'?><svg>",
    b"PK\x03\x04", b"MZ\x90", b"RIFF\x00\x00\x00\x00AVI ", b" \x89PNG\r\n", b"#!/bin/sh", b"BM",
]  # fmt: skip


@pytest.mark.parametrize(("head", "mimetype"), SAFE.items())
def test_a_safe_type_is_recognized_by_its_first_bytes(head: bytes, mimetype: str) -> None:
    found = detect(head)
    assert (found.mimetype, found.is_inline) == (mimetype, True)


@pytest.mark.parametrize("head", UNSAFE)
def test_everything_else_is_downloaded(head: bytes) -> None:
    assert detect(head) is OTHER


@given(st.binary(max_size=64))
def test_no_content_is_shown_as_a_page(head: bytes) -> None:
    found = detect(head)
    assert found.mimetype.partition("/")[0] in ("image", "audio", "video") or found.mimetype in (
        "application/pdf",
        "application/octet-stream",
    )
    assert "svg" not in found.mimetype


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ("", "image-7.png"),
        ("foto", "foto.png"),
        ("foto.PNG", "foto.PNG"),
        ("página.html", "página.html.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\fotos\\praia.png", "praia.png"),
        ("fdp\u202egnp.exe", "fdp gnp.exe.png"),
        ("a\r\nb\x00.png", "a b .png"),
        (" . ", "image-7.png"),
    ],
)
def test_the_name_has_the_extension_of_the_content(claimed: str, expected: str) -> None:
    assert download_name(claimed, "image-7", PNG) == expected


def test_a_file_of_another_type_keeps_its_name() -> None:
    assert download_name("contrato.docx", "document-7", OTHER) == "contrato.docx"
    assert download_name("", "document-7", OTHER, "text/plain; charset=utf-8") == "document-7.txt"
    assert download_name("", "document-7", OTHER, "nonsense") == "document-7.bin"


@given(st.text(max_size=400))
def test_a_clean_name_is_short_and_names_no_folder(name: str) -> None:
    clean = clean_name(name)
    assert len(clean) <= MAX_NAME_CHARS
    assert not set(clean) & set("/\\\r\n\x00\u202e")
    assert clean not in (".", "..")
