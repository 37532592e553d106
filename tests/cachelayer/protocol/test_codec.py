import ast
import datetime as dt
import zoneinfo
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import cachelayer
from cachelayer.protocol.codec import MAX_DEPTH, DecodeError, NotCacheable, decode, encode
from conversations.models import Message

ZONES = st.sampled_from([None, dt.UTC, zoneinfo.ZoneInfo("America/Sao_Paulo"), dt.timezone(dt.timedelta(hours=14))])
# Values of Django fields and of JSON. All times have fold=0, because the encoding does not keep `fold`.
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.times().map(lambda time: time.replace(fold=0)),
    st.datetimes(timezones=ZONES, allow_imaginary=False).map(lambda moment: moment.replace(fold=0)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
hashable = st.one_of(plain, st.frozensets(plain, max_size=3), st.tuples(plain, plain))
values = st.recursive(
    st.one_of(plain, st.sets(hashable, max_size=3), st.frozensets(hashable, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(hashable, inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=12,
)


def comparable(value: Any) -> Any:
    """Return a value together with its types and UTC offsets, which a comparison by `==` would ignore."""
    if isinstance(value, dict):
        return dict, [(comparable(key), comparable(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [comparable(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(repr(comparable(item)) for item in value)
    if isinstance(value, dt.datetime):
        return dt.datetime, value.replace(tzinfo=None), value.utcoffset()
    return type(value), repr(value)


@given(values)
@example(dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-3))))
@example(dt.datetime.min.replace(tzinfo=dt.UTC))
@example(2**64)
@example(-(10**40))
@example([float("inf"), -0.0, Decimal("Infinity"), Decimal("-0.00")])
@example({1: {"a": [{}, (), set(), frozenset(), b"", ""]}})
def test_a_decoded_value_equals_the_encoded_one(value: Any) -> None:
    assert comparable(decode(encode(value))) == comparable(value)


def test_nan_survives() -> None:
    for value in (float("nan"), Decimal("NaN")):
        assert repr(decode(encode(value))) == repr(value)


# --- values without encoding ------------------------------------------------------------------------------------------
class Label(str):
    __slots__ = ()


def test_a_value_without_encoding_is_not_cacheable() -> None:
    for value in (object(), Message.Kind.TEXT, Label("x"), "\ud800", 10**5000, range(3), {"a": {1: (print,)}}):
        with pytest.raises(NotCacheable):
            encode(value)


# --- depth ------------------------------------------------------------------------------------------------------------
def nested(depth: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(depth):
        value = {"in": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize(
    ("kind", "depth"),
    [(list, 400), (dict, 400), (tuple, MAX_DEPTH - 1), (frozenset, MAX_DEPTH - 1)],
)
def test_a_deeply_nested_value_survives(kind: type, depth: int) -> None:
    data = encode(nested(depth, kind))
    assert encode(decode(data)) == data


@pytest.mark.parametrize("kind", [list, dict, tuple, frozenset])
@pytest.mark.parametrize("depth", [1100, 100_000])
def test_a_value_that_is_nested_too_deeply_is_not_cacheable(kind: type, depth: int) -> None:
    with pytest.raises(NotCacheable):
        encode(nested(depth, kind))


@pytest.mark.parametrize("code", [-1, 0, 1, 7, 8, 9, 127])
def test_extensions_that_are_nested_too_deeply_cannot_be_decoded(code: int) -> None:
    """Each nested level takes C stack. Without a limit, malicious bytes on the server could crash the processes."""
    data = b"\x90"
    for _ in range(10_000):
        data = b"\xc9" + len(data).to_bytes(4) + code.to_bytes(1, signed=True) + data
    with pytest.raises(DecodeError):
        decode(data)


def test_arrays_that_are_nested_too_deeply_cannot_be_decoded() -> None:
    with pytest.raises(DecodeError):
        decode(b"\x91" * 1_000_000 + b"\xc0")


# --- malformed bytes --------------------------------------------------------------------------------------------------
@given(st.binary(max_size=80))
@example(b"")
@example(b"\xdd\xff\xff\xff\xff")  # an array that claims four billion items
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xd8\x06" + b"0" * 16)  # a UUID extension with malformed contents
@example(b"\xc7\x0c\xff" + b"\xff" * 12)  # a time after the year 9999
@example(b"\xc0\xc0")  # two values, where only one is allowed
@example(b"\xa1\xff")  # a text that is not UTF-8
@example(b"\xc7\x04\x08\x91\x90\x90\x90")
def test_any_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        decode(data)


@given(values.map(encode), st.data())
def test_a_changed_byte_makes_a_value_or_a_decode_error(encoded: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(encoded) - 1))
    changed = bytearray(encoded)
    changed[position] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        decode(bytes(changed))


def test_a_large_value_survives() -> None:
    value = ["x" * 2**20, list(range(100_000)), {str(n): n for n in range(10_000)}]
    assert decode(encode(value)) == value


def test_each_decoding_makes_a_new_value() -> None:
    data = encode({"a": [1]})
    decode(data)["a"].append(2)
    assert decode(data) == {"a": [1]}


def test_other_tools_can_read_the_msgpack() -> None:
    moment = dt.datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=dt.UTC)
    assert msgpack.unpackb(encode([1, "a", moment]), timestamp=3) == [1, "a", moment]


# --- code execution ---------------------------------------------------------------------------------------------------
DANGEROUS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "copyreg"}


def test_the_cache_imports_nothing_that_runs_code_from_data() -> None:
    for path in Path(cachelayer.__path__[0]).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        modules = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
        }
        assert not modules & DANGEROUS, path
        assert not names & {"eval", "exec", "__import__", "compile"}, path


def test_a_pickle_cannot_be_decoded() -> None:
    with pytest.raises(DecodeError):
        decode(b"\x80\x05cos\nsystem\n(S'true'\ntR.")
