"""Redaction removes credentials and personal data from a log record, and keeps the rest."""

import json
import logging
import time
from typing import Any

import pytest
from django.contrib.auth.models import User

from logs.redaction import MASK, MAX_TEXT_CHARS, RedactionFilter, Redactor
from logs.testing import capture
from tests.logs.conftest import throw

KEY = "a site's secret key"
JID = "5511987654321@s.whatsapp.net"

log = logging.getLogger("whatsai.webhook")


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(KEY)


# --- credentials ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "POST /webhooks/evolution/sales?token=hunter2/messages-upsert HTTP/1.1",
            "POST /webhooks/evolution/sales?token=",
        ),
        ("GET /api/v1/contacts/?search=hunter2&limit=2", "GET /api/v1/contacts/?search="),
        ("https://x/y?a=hunter2&X-Amz-Signature=hunter2#z", "https://x/y?a="),
        ("Authorization: Bearer hunter2hunter2", ""),
        ("authorization: Token hunter2hunter2 was refused", "was refused"),
        ("'HTTP_AUTHORIZATION': 'Basic hunter2hunter2=='", ""),
        ("Authorization: ApiKey hunter2hunter2", ""),
        ("Invalid HTTP Header: 'apikey hunter2hunter2'", "Invalid HTTP Header: 'apikey "),
        ("X-Webhook-Token: hunter2", "X-Webhook-Token: "),
        ("apikey=hunter2, instance=sales", "instance=sales"),
        ("api_key: 'hunter2'", "api_key: "),
        ('{"apikey":"hunter2","event":"call"}', '"event":"call"'),
        (r"body {\"apikey\": \"hunter2\"}", "body "),
        ("SECRET_KEY=hunter2 and password = hunter2", "and password"),
        ("sessionid=hunter2; csrftoken=hunter2", ""),
        ("redis://:hunter2@cache:6379/0 refuses", "@cache:6379/0 refuses"),
        ("postgresql://user:hunter2@db/name", "@db/name"),
        ("https://hunter2@evo.example.com/x", "@evo.example.com/x"),
        ("qr 2@hunter2" + "A7/+" * 40, "qr "),
    ],
)
def test_credentials_are_masked_and_their_names_stay(text: str, kept: str, redactor: Redactor) -> None:
    redacted = redactor.text(text)
    assert "hunter2" not in redacted
    assert MASK in redacted
    assert kept in redacted


@pytest.mark.parametrize(
    "text",
    [
        "Cache CLEAR pattern conversations:instance:7:* (12 keys)",
        "GET /api/v1/conversations/12/messages/ 200",
        "Webhook REFUSED: 404, no instance is named 'sales'; `manage.py webhook_token` creates it",
        "no token; not a valid webhook token of instance 'sales'; the key of an entry",
        "Starting gunicorn 27.0.1 at 2026-03-01 12:00:00 +0000 [pid: 1234]",
        "Error 111 connecting to 127.0.0.1:6379. Connection refused.",
        '[Errno 2] No such file or directory: "/var/log/whatsai/cache.log"',
        'SELECT "conversations_message"."id" FROM "conversations_message" WHERE "id" IN (%s, %s) LIMIT 21',
        "instance 550e8400-e29b-41d4-a716-446655440000 took 0.12345678901234 s, not 12345.678",
        "an event that isn't one (of ours): it's 'call'",
        "namespaces: instances, contacts, conversations, messages",
        "message 123456789 of version 2.3000.1015",
    ],
)
def test_harmless_texts_do_not_change(text: str, redactor: Redactor) -> None:
    assert redactor.text(text) == text


# --- contacts ---------------------------------------------------------------------------------------------------------
FORMS = [
    JID,
    "5511987654321@c.us",
    "5511987654321:12@s.whatsapp.net",
    "5511987654321_1:12@s.whatsapp.net",
    "5511987654321@S.WhatsApp.net",
    "5511987654321@hosted",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_contact_has_one_hash_in_every_form_of_its_address(form: str, redactor: Redactor) -> None:
    assert redactor.text(f"for {form}: done") == f"for jid:{redactor.digest('5511987654321')}: done"


@pytest.mark.parametrize("number", ["5511987654321", "+5511987654321", "+55 11 98765-4321", "+55 (11) 98765.4321"])
def test_a_phone_number_has_the_hash_of_its_address(number: str, redactor: Redactor) -> None:
    assert redactor.text(f"to {number}.") == f"to tel:{redactor.digest('5511987654321')}."


@pytest.mark.parametrize(
    "address",
    ["120363041234567890@g.us", "204857316940182@lid", "status@broadcast", "12036304@newsletter", "a.b@x.org"],
)
def test_every_kind_of_address_is_redacted(address: str, redactor: Redactor) -> None:
    assert address.split("@", maxsplit=1)[0] not in redactor.text(f"from {address}, again")


def test_a_hash_depends_on_the_key() -> None:
    hashes = {Redactor(key).digest("5511987654321") for key in ("", KEY, KEY + "x")}
    assert len(hashes) == 3
    assert Redactor(KEY).digest("5511987654321") == Redactor(KEY).digest("5511987654321")
    assert all(len(one) == 10 and int(one, 16) >= 0 for one in hashes)


def test_different_contacts_have_different_hashes(redactor: Redactor) -> None:
    assert len({redactor.digest(str(5511900000000 + place)) for place in range(10_000)}) == 10_000


# --- structures -------------------------------------------------------------------------------------------------------
PAYLOAD = {
    "event": "messages.upsert",
    "instance": "sales",
    "data": {
        "key": {"remoteJid": JID, "fromMe": False, "id": "3EB0"},
        "pushName": "Mariana",
        "message": {"conversation": "Oi, é a \"Mari\" d'Ávila\\ \n{'a': 'b'}", "options": ["Pizza", "Sushi"]},
        "messageTimestamp": 5511987654321,
    },
    "apikey": "9F0C2B7A",
}
WORDS = ("5511987654321", "Mariana", "Mari", "Ávila", "Pizza", "Sushi", "3EB0", "9F0C2B7A", "'b'")


def test_a_structure_keeps_its_keys_and_its_safe_values(redactor: Redactor) -> None:
    shown = redactor.structure(PAYLOAD)
    assert shown["event"] == "messages.upsert"
    assert shown["instance"] == "sales"
    assert shown["data"]["key"] == {"remoteJid": MASK, "fromMe": False, "id": MASK}
    assert shown["data"]["message"] == {"conversation": MASK, "options": [MASK, MASK]}
    assert shown["data"]["messageTimestamp"] == f"tel:{redactor.digest('5511987654321')}"


def test_the_codes_that_link_a_phone_are_masked(redactor: Redactor) -> None:
    codes = {"code": "2@XK4krX48,LgHp", "pairingCode": "WZYEH1YY", "base64": "data:image/png;base64,AA"}
    assert redactor.structure({"qrcode": codes}) == {"qrcode": dict.fromkeys(codes, MASK)}


TEXTS = {
    "repr": repr(PAYLOAD),
    "json": json.dumps(PAYLOAD, ensure_ascii=False),
    "ascii": json.dumps(PAYLOAD),
    "compact": json.dumps(PAYLOAD, separators=(",", ":")),
    "indented": json.dumps(PAYLOAD, indent=2),
    "bytes": repr(json.dumps(PAYLOAD).encode()),
    "json in json": json.dumps({"body": json.dumps(PAYLOAD)}),
    "json in repr": repr([json.dumps(PAYLOAD, ensure_ascii=False)]),
    "repr in json": json.dumps([repr(PAYLOAD)]),
    "an escaped part": json.dumps(json.dumps(PAYLOAD))[1:-1],
    "keywords": "Payload(name='Mariana', text=\"Mari d'Ávila\", options=['Pizza', \"Sushi\"])",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("before", ["", "can't read ", "body: ", "got (this) [one] "])
def test_a_text_that_shows_a_structure_is_redacted_like_it(name: str, before: str, redactor: Redactor) -> None:
    text = before + TEXTS[name]
    redacted = redactor.text(text)
    assert not [word for word in WORDS if word in redacted]
    assert redacted.startswith(before)


@pytest.mark.parametrize("name", TEXTS)
def test_a_truncated_text_of_a_structure_is_redacted(name: str, redactor: Redactor) -> None:
    text = TEXTS[name]
    for end in range(len(text)):
        redacted = redactor.text(text[:end])
        assert not [word for word in WORDS if word in redacted], redacted


def test_keys_of_a_structure_stay_if_they_are_identifiers(redactor: Redactor) -> None:
    found = redactor.structure({"pushName": 1, JID: 2, "Mariana Couto": 3, 4: 5, None: 6})
    assert found == {"pushName": 1, redactor.text(JID): 2, MASK: 3, "4": 5, "None": 6}
    assert redactor.text("{'Mariana Couto': 3, 'pushName': 1}") == "{'[redacted]': 3, 'pushName': 1}"


def test_a_large_structure_is_cut_off(redactor: Redactor) -> None:
    bushy: list[Any] = []
    for _ in range(50):
        bushy = [bushy] * 50
    assert len(json.dumps(redactor.structure(bushy))) < 10_000
    assert len(redactor.structure(list(range(1000)))) == 50


# --- fields -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("path", "/api/v1/conversations/12/", "/api/v1/conversations/12/"),
        ("pushName", "Mariana", MASK),
        ("push_name", "Mariana", MASK),
        ("payload", "x", MASK),
        ("contact_name", "Mariana", MASK),
        ("messageText", "Mariana", MASK),
        ("hostname", "db-1", "db-1"),
        ("content_type", "image/png", "image/png"),
        ("duration_ms", 0.123456789012, 0.123456789012),
        ("event_id", 12345678901, 12345678901),
        ("count", True, True),
        ("key", None, None),
        ("request_id", "5511987654321", "5511987654321"),
        ("error", ValueError("bad value 'Mariana Couto'"), f"bad value '{MASK}'"),
        ("files", ["a"], [MASK]),
        ("sql", 'INSERT INTO "a" ("b", "c") VALUES (%s, %s)', 'INSERT INTO "a" ("b", "c") VALUES (%s, %s)'),
        ("sql", "SELECT a WHERE (b = 'It''s Mari' AND c = 'Ma", f"SELECT a WHERE (b = '{MASK}' AND c = '{MASK}'"),
    ],
)
def test_a_field_is_redacted_by_its_name_and_its_value(
    name: str, value: object, shown: object, redactor: Redactor
) -> None:
    assert redactor.field(name, value) == shown


def test_a_number_that_may_be_a_phone_number_is_hashed(redactor: Redactor) -> None:
    assert redactor.field("to", 5511987654321) == f"tel:{redactor.digest('5511987654321')}"
    assert redactor.field("to", 10**500) == MASK


# --- tracebacks -------------------------------------------------------------------------------------------------------
def raised(error: Exception) -> str:
    with capture() as logged:
        try:
            raise error
        except type(error):
            log.exception("failed")
    return str(logged[0]["exc_info"])


@pytest.mark.parametrize(
    ("error", "expected_text"),
    [
        (KeyError("remoteJid"), "KeyError: 'remoteJid'"),
        (
            AttributeError("'NoneType' object has no attribute 'push_name'"),
            "'NoneType' object has no attribute 'push_name'",
        ),
        (ModuleNotFoundError("No module named 'x.y'"), "No module named 'x.y'"),
        (OSError(28, "No space left on device", "/var/log/x.log"), "No space left on device: '/var/log/x.log'"),
        (ValueError("invalid literal for int() with base 10: 'Mariana'"), f"with base 10: '{MASK}'"),
        (ValueError("invalid literal for int() with base 10: 'mari'"), f"with base 10: '{MASK}'"),
        (ValueError("Field 'id' expected a number but got 'mari'."), f"Field 'id' expected a number but got '{MASK}'."),
        (ValueError('invalid input syntax for type bigint: "mari"'), f'for type bigint: "{MASK}"'),
        (ExceptionGroup("some", [KeyError("remoteJid")]), "KeyError: 'remoteJid'"),
        (ValueError("cannot read “Olá, Mari”"), f"cannot read “{MASK}”"),
        (ValueError("ungültige Eingabesyntax für Typ bigint: »Mari«"), f"für Typ bigint: »{MASK}«"),
        (ValueError("syntaxe en entrée invalide : « Mari »"), f"invalide : «{MASK}»"),
        (TypeError("a model instance, <Contact: Mari <3 (3)>. Use"), f"a model instance, <Contact: {MASK}>. Use"),
    ],
)
def test_an_exception_keeps_its_message_without_values(error: Exception, expected_text: str) -> None:
    trace = raised(error)
    assert expected_text in trace
    assert "raise error" in trace
    assert "test_redaction.py" in trace
    assert "Mari" not in trace


@pytest.mark.parametrize("text", [*TEXTS.values(), "two\nlines of " + TEXTS["indented"]])
def test_a_payload_in_an_exception_is_redacted(text: str) -> None:
    trace = raised(ValueError(f"not understood: {text}"))
    assert not [word for word in WORDS if word in trace], trace
    assert "ValueError: not understood: " in trace


def test_a_row_quoted_by_the_database_is_redacted() -> None:
    trace = raised(
        ValueError(
            'duplicate key value violates unique constraint "one_key"\n'
            "DETAIL:  Key (jid, name)=(5511987654321, Mariana\nCouto, d'Ávila) already exists.\n"
        )
    )
    assert 'violates unique constraint "one_key"' in trace
    assert f"DETAIL: {MASK}" in trace
    assert not [word for word in ("Mariana", "Couto", "Ávila", "5511987654321") if word in trace]


def test_causes_and_exception_groups_are_redacted() -> None:
    bad = (
        ValueError("x\nDETAIL: Mariana"),
        ValueError("y\nDETAIL: Mariana"),
        KeyError("Mariana Couto"),
        RuntimeError("{'pushName': 'Mariana'}"),
    )
    with capture() as logged:
        try:
            try:
                raise bad[0]
            except ValueError as cause:
                raise ExceptionGroup("two", bad[1:]) from cause
        except ExceptionGroup:
            log.exception("failed")
    trace = logged[0]["exc_info"]
    assert "(3 sub-exceptions)" in trace
    assert "direct cause" in trace
    assert "Mariana" not in trace


# --- records ----------------------------------------------------------------------------------------------------------
def test_a_model_is_logged_as_its_label_and_primary_key() -> None:
    with capture() as logged:
        log.info("for %s", User(pk=7, username="Mariana"), extra={"about": User(pk=8, username="Mariana")})
    assert logged.one(message="for auth.User 7", about="auth.User 8")


def test_the_repr_of_a_model_is_reduced_to_its_class(redactor: Redactor) -> None:
    assert redactor.text("no <Contact: Mari > Ana> here") == f"no <Contact: {MASK}> here"
    assert "Mari" not in redactor.text("<QuerySet [<Contact: Mari>, <Contact: Mari>]> and <Contact: Mari")


def test_an_exception_as_an_argument_is_redacted_like_a_traceback() -> None:
    with capture() as logged:
        log.warning("not stored: %s", ValueError("bad 'Mariana Couto'\nDETAIL: (Mariana)"))
        log.warning(ValueError("bad 'Mariana Couto'"))
    assert not [line for line in logged if "Mariana" in str(line)]


def test_named_arguments_are_redacted_by_their_names() -> None:
    with capture() as logged:
        log.info("%(event)s by %(pushName)s", {"event": "call", "pushName": "Mariana"})
    assert logged.one(message=f"call by {MASK}")


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "a.", "5", " ", "+", "é", "a@", "://", ":", "'", '"', "\\", "{'", "token ", "a-", "=", "\n", "(+1 "),
        *('a=""', "[", "(", "@", "<A: ", "“", "»", "«", "\\'", "''\\", "\n ", f"'A{'_' * 58}!'"),
    ],
)
def test_no_text_is_slow_to_redact(piece: str, redactor: Redactor) -> None:
    text = f"""a="" {piece * (MAX_TEXT_CHARS // len(piece) - 1)}"""
    began = time.thread_time()
    redactor.text(text + "z")
    redactor.text(text[: MAX_TEXT_CHARS - 100] + " x@y {'a': 'b'} token=x ?a=b")
    redactor.traceback("Traceback\n" + text)
    assert time.thread_time() - began < 4  # time that is quadratic in the length of the text would be 6 to 20 seconds


def test_a_long_error_text_is_cut_before_it_is_redacted(redactor: Redactor) -> None:
    assert len(redactor.traceback("'a' " * MAX_TEXT_CHARS)) < 2 * MAX_TEXT_CHARS


def test_a_quoted_value_without_an_end_is_masked(redactor: Redactor) -> None:
    assert redactor.traceback("bad “Olá, Mari\nbad «Olá, Mari\nbad »Olá, Mari") == (
        f"bad “{MASK}”\nbad «{MASK}»\nbad »{MASK}«"
    )


@pytest.mark.parametrize("name", ["Foo_Bar.x", "FooBar", "Foo.bar", "FooB", "Foo_", "FOo.b"])
def test_a_class_name_in_an_exception_stays(name: str, redactor: Redactor) -> None:
    assert redactor.traceback(f"no '{name}'") == f"no '{name}'"


@pytest.mark.parametrize("name", ["Mari", "MARI", "MARI.ana", "Mari.ana.x", "Foo-Bar", "A" + "_b" * 30])
def test_a_word_that_may_be_a_name_is_masked(name: str, redactor: Redactor) -> None:
    assert redactor.traceback(f"no '{name}'") == f"no '{MASK}'"


class Formatted(logging.Handler):
    """A log handler that uses `RedactionFilter` without the logging service."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.addFilter(RedactionFilter(KEY))

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{self.format(record)} {vars(record)['pushName']}")


def test_the_filter_works_without_the_service(request: pytest.FixtureRequest) -> None:
    handler = Formatted()
    log.addHandler(handler)
    request.addfinalizer(lambda: log.removeHandler(handler))
    try:
        throw(ValueError(repr(PAYLOAD)))
    except ValueError:
        log.exception("x %s %s", JID, PAYLOAD, extra={"pushName": "Mariana"})
    (text,) = handler.found
    assert "throw(ValueError" in text
    assert not [word for word in WORDS if word in text]
