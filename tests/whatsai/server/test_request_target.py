"""Every form of a request's target names the same path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsai.server.request_target import Target, read_target

HOSTS = st.text("abc.:[]@0123456789-", max_size=10).map(str.encode)
PATHS = st.text("abc/%.;:@", max_size=10).map(lambda text: f"/{text}".encode())


@given(st.sampled_from([b"http", b"HTTPS", b"a+b"]), HOSTS, PATHS)
def test_a_url_names_its_path_and_its_host(scheme: bytes, host: bytes, path: bytes) -> None:
    assert read_target(scheme + b"://" + host + path) == Target(path, host)
    assert read_target(path) == Target(path)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://localhost", "/", b"localhost"),
        (b"http://localhost?a=/b", "/", b"localhost"),
        (b"/api/x?y=http://z/", "/api/x", None),
        (b"/%61pi/%ff", "/api/\ufffd", None),
        (b"*", "*", None),
        (b"localhost:80", "localhost:80", None),
        (b"", "", None),
    ],
)
def test_the_path_is_decoded_and_has_no_query(target: bytes, path: str, host: bytes | None) -> None:
    assert (read_target(target).path, read_target(target).host) == (path, host)
