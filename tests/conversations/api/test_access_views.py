"""Who may hand on which rights over the API, and that tokens and memberships hold from the next request on."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from conversations.models import ApiToken, Instance, Membership, Role
from conversations.models import access as access_models
from tests.conversations.rows import a_chat, an_instance

pytestmark = pytest.mark.django_db
ME, TOKENS, MEMBERSHIPS = "/api/v1/me/", "/api/v1/tokens/", "/api/v1/memberships/"


def client_with(token: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Token {token}"})


def client_of(user: User, **options: Any) -> APIClient:
    return client_with(ApiToken.objects.issue(user, **options)[1])


def post(client: APIClient, url: str, **body: Any) -> Any:
    return client.post(url, body, format="json")


@pytest.fixture
def shops() -> tuple[Instance, Instance]:
    return an_instance(), an_instance()


@pytest.fixture
def ana(shops: tuple[Instance, Instance]) -> User:
    """Create a user who is the manager of the first shop and a reader of the second."""
    user = User.objects.create_user("ana")
    for shop, role in zip(shops, (Role.MANAGER, Role.READER), strict=True):
        Membership.objects.create(user=user, instance=shop, role=role)
    return user


# --- instances --------------------------------------------------------------------------------------------------------
def test_only_who_may_manage_an_instance_sees_its_qr_code(ana: User, shops: tuple[Instance, Instance]) -> None:
    Instance.objects.update(state=Instance.State.CONNECTING, qr_code="data:image/png;base64,AA")
    may_manage, may_write = client_of(ana, scopes=["manage"]), client_of(ana, scopes=["write"])
    seen = [
        client.get(f"/api/v1/instances/{shop.pk}/").json()["qr_code"] != ""
        for _ in range(2)  # the second answer may come from the cache
        for shop in shops
        for client in (may_manage, may_write)
    ]
    assert seen == [True, False, False, False] * 2


def test_no_list_and_no_change_contains_a_qr_code(ana: User, shops: tuple[Instance, Instance]) -> None:
    client = client_of(ana)
    start = client.get("/api/v1/changes/?after=now").json()["cursor"]
    image = "data:image/png;base64,AA"
    for shop in shops:
        Instance.objects.filter(pk=shop.pk).update(state=Instance.State.CONNECTING, qr_code=image)
    for url in ("/api/v1/instances/", f"/api/v1/changes/?after={start}"):
        answer = client.get(url)
        assert answer.status_code == 200
        assert image not in answer.content.decode()
    assert client.get("/api/v1/instances/?fields=qr_code").status_code == 400


# --- oneself ----------------------------------------------------------------------------------------------------------
def test_me_shows_the_user_the_roles_and_the_token(ana: User, shops: tuple[Instance, Instance]) -> None:
    end = timezone.now() + dt.timedelta(days=1)
    row, token = ApiToken.objects.issue(ana, name="painel", scopes=["read"], instances=[shops[1].pk], expires_at=end)
    me = client_with(token).get(ME).json()
    assert (me["user_id"], me["username"], me["is_administrator"]) == (ana.pk, "ana", False)
    assert me["memberships"] == [{"instance_id": shops[1].pk, "role": "reader"}], "not what the token may not see"
    shown = {name: me["token"][name] for name in ("id", "name", "scopes", "instance_ids")}
    assert shown == {"id": row.pk, "name": "painel", "scopes": ["read"], "instance_ids": [shops[1].pk]}
    assert dt.datetime.fromisoformat(me["token"]["expires_at"]) == end


def test_me_by_a_session_has_no_token(ana: User) -> None:
    client = Client()
    client.force_login(ana)
    me = client.get(ME).json()
    assert (me["username"], len(me["memberships"]), me["token"]) == ("ana", 2, None)


# --- making tokens ----------------------------------------------------------------------------------------------------
def test_the_secret_is_shown_once_and_works(ana: User, shops: tuple[Instance, Instance]) -> None:
    client = client_of(ana)
    answer = post(client, TOKENS, name="painel", scopes=["write", "read"], instance_ids=[shops[0].pk], days=7)
    made = answer.json()
    assert answer.status_code == 201
    assert (made["name"], made["scopes"], made["instance_ids"]) == ("painel", ["read", "write"], [shops[0].pk])
    assert dt.datetime.fromisoformat(made["expires_at"]) - timezone.now() > dt.timedelta(days=6)
    assert client_with(made["token"]).get(ME).json()["token"]["id"] == made["id"]
    listed = client.get(TOKENS)
    assert made["id"] in {row["id"] for row in listed.json()["results"]}
    row = ApiToken.objects.get(pk=made["id"])
    for text in (listed.content.decode(), client_with(made["token"]).get(ME).content.decode()):
        assert made["token"] not in text
        assert row.digest[:16] not in text


# present token's options, body → status; 0 and 1 stand for the shops that ana manages and reads
GRANTS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({}, {"scopes": ["manage", "send"]}, 201),
    ({}, {"scopes": ["manage"], "instance_ids": [0, 1]}, 201),
    ({}, {"scopes": ["write"], "instance_ids": [1]}, 403),
    ({}, {"scopes": ["read"], "instance_ids": [1]}, 201),
    ({"scopes": ["manage"]}, {"scopes": ["write"]}, 201),
    ({"scopes": ["manage"]}, {"scopes": ["send"]}, 403),
    ({"scopes": ["write", "send"]}, {"scopes": ["read"]}, 403),
    ({"instances": [1]}, {"scopes": ["read"]}, 201),
    ({"instances": [1]}, {"scopes": ["write"]}, 403),
    ({"instances": [1]}, {"scopes": ["read"], "instance_ids": [0]}, 404),
    ({"instances": [1]}, {"scopes": ["read"], "instance_ids": [0, 1]}, 404),
    ({"instances": []}, {"scopes": ["read"]}, 403),
]


@pytest.mark.parametrize(("options", "body", "status"), GRANTS)
def test_a_token_never_permits_more_than_the_request_that_made_it(
    ana: User, shops: tuple[Instance, Instance], options: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    options, body = (
        {name: [shops[i].pk for i in value] if name.startswith("instance") else value for name, value in each.items()}
        for each in (options, body)
    )
    answer = post(client_of(ana, **options), TOKENS, **body)
    assert answer.status_code == status, answer.content
    if status == 201:
        assert answer.json()["instance_ids"] == (body.get("instance_ids") or options.get("instances"))
    else:
        assert ApiToken.objects.count() == 1


def test_an_unknown_instance_and_a_foreign_one_get_the_same_answer(ana: User) -> None:
    foreign, client = an_instance(), client_of(ana)
    answers = [post(client, TOKENS, scopes=["read"], instance_ids=[pk]) for pk in (foreign.pk, foreign.pk + 1)]
    answers += [
        post(client, MEMBERSHIPS, instance_id=pk, username=name, role="agent")
        for pk in (foreign.pk, foreign.pk + 1)
        for name in ("ana", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [404] * 6
    assert len({answer.json()["detail"] for answer in answers[:2]}) == 1
    assert len({answer.json()["detail"] for answer in answers[2:]}) == 1
    administrator = client_of(User.objects.create_superuser("root"))
    for body in (
        {"url": TOKENS, "scopes": ["read"], "instance_ids": [foreign.pk + 1]},
        {"url": MEMBERSHIPS, "instance_id": foreign.pk + 1, "username": "ana", "role": "agent"},
    ):
        assert post(administrator, **body).status_code == 404


def test_a_user_without_a_role_has_nothing_to_hand_on() -> None:
    assert post(client_of(User.objects.create_user("bia")), TOKENS, scopes=["read"]).status_code == 403


def test_a_new_token_ends_with_the_token_that_made_it_at_the_latest(ana: User) -> None:
    end = timezone.now() + dt.timedelta(days=2)
    client = client_of(ana, expires_at=end)
    made = [post(client, TOKENS, scopes=["read"], **days) for days in ({}, {"days": None}, {"days": 1}, {"days": 3})]
    assert [answer.status_code for answer in made] == [201, 201, 201, 403]
    ends = [dt.datetime.fromisoformat(answer.json()["expires_at"]) for answer in made[:3]]
    assert ends[:2] == [end, end]
    assert ends[2] < end


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scopes": []},
        {"scopes": ["all"]},
        {"scopes": "read"},
        {"scopes": [{}]},
        {"scopes": ["read"], "instance_ids": []},
        {"scopes": ["read"], "instance_ids": ["x"]},
        {"scopes": ["read"], "instance_ids": [2**63]},
        {"scopes": ["read"], "instance_ids": [-1]},
        {"scopes": ["read"], "days": 0},
        {"scopes": ["read"], "days": 10**9},
        {"scopes": ["read"], "name": "x" * 101},
        {"scopes": ["read"], "name": "a\0b"},
        {"scopes": ["read"], "name": 1},
        {"scopes": ["read"], "days": "1"},
        {"scopes": ["read"], "days": True},
        {"scopes": ["read"], "instances": [1]},
        {"scopes": ["read"], "user": 1},
        {"scopes": ["read"], "made_by": None},
    ],
)
def test_a_wrong_body_is_refused(ana: User, body: dict[str, Any]) -> None:
    assert post(client_of(ana), TOKENS, **body).status_code == 400
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("url", [TOKENS, MEMBERSHIPS])
@pytest.mark.parametrize("content", ["[]", "1", "null", '"x"', "{", '{"scopes": ["read"], "name": "\\ud800"}', "[[1]]"])
def test_a_body_that_is_not_an_object_is_refused(ana: User, url: str, content: str) -> None:
    assert client_of(ana).post(url, content, content_type="application/json").status_code == 400


def test_a_user_has_at_most_so_many_valid_tokens(ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_models, "MAX_TOKENS", 3)
    client = client_of(ana)
    statuses = [post(client, TOKENS, scopes=["read"]).status_code for _ in range(3)]
    assert statuses == [201, 201, 409]
    ApiToken.objects.latest("pk").revoke()
    assert post(client, TOKENS, scopes=["read"]).status_code == 201


@pytest.mark.parametrize("name", ["scopes", "instance_ids"])
def test_a_list_that_is_too_long_is_one_error(ana: User, name: str) -> None:
    answer = post(client_of(ana), TOKENS, **{"scopes": ["read"], name: ["x"] * 5000})
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == [name]


# --- tokens that exist ------------------------------------------------------------------------------------------------
def test_nobody_sees_or_revokes_tokens_of_others(ana: User) -> None:
    root = User.objects.create_superuser("root")
    row, _ = ApiToken.objects.issue(ana)
    for client in (client_of(root), client_of(User.objects.create_user("bia"))):
        assert row.pk not in {one["id"] for one in client.get(TOKENS).json()["results"]}
        assert client.delete(f"{TOKENS}{row.pk}/").status_code == 404
    assert client_of(ana).delete(f"{TOKENS}{row.pk}/").status_code == 204
    assert ApiToken.objects.get(pk=row.pk).revoked_at


def test_a_limited_token_sees_itself_and_those_that_it_made(ana: User, shops: tuple[Instance, Instance]) -> None:
    other, _ = ApiToken.objects.issue(ana, instances=[shops[1].pk])
    row, token = ApiToken.objects.issue(ana, instances=[shops[0].pk])
    client = client_with(token)
    made = post(client, TOKENS, scopes=["read"]).json()
    assert [one["id"] for one in client.get(TOKENS).json()["results"]] == [made["id"], row.pk]
    assert client.delete(f"{TOKENS}{other.pk}/").status_code == 404
    assert client.delete(f"{TOKENS}{made['id']}/").status_code == 204


def test_a_token_ends_with_the_token_that_made_it(ana: User) -> None:
    row, token = ApiToken.objects.issue(ana)
    tokens = [token]
    for _ in range(3):
        tokens.append(post(client_with(tokens[-1]), TOKENS, scopes=["manage"]).json()["token"])
    clients = [client_with(one) for one in tokens]
    assert [client.get(ME).status_code for client in clients] == [200] * 4
    assert client_of(ana).delete(f"{TOKENS}{row.pk}/").status_code == 204
    assert [client.get(ME).status_code for client in clients] == [401] * 4


def test_a_token_that_is_deleted_takes_those_that_it_made_with_it(ana: User) -> None:
    row, token = ApiToken.objects.issue(ana)
    made = client_with(post(client_with(token), TOKENS, scopes=["read"]).json()["token"])
    assert [made.get("/api/v1/instances/").status_code for _ in range(2)] == [200, 200]
    row.delete()
    assert made.get("/api/v1/instances/").status_code == 401


def test_a_token_that_has_ended_meanwhile_makes_no_other(ana: User) -> None:
    row, _ = ApiToken.objects.issue(ana)
    row.revoke()
    with pytest.raises(access_models.TokenNotIssued):
        ApiToken.objects.issue_by_api(ana, made_by=row.pk)


def test_a_token_without_the_scope_cannot_list_or_revoke(ana: User) -> None:
    client = client_of(ana, scopes=["read", "write", "send"])
    assert client.get(TOKENS).status_code == 403
    assert client.get(MEMBERSHIPS).status_code == 403
    assert client.delete(f"{TOKENS}{ApiToken.objects.get().pk}/").status_code == 403


@pytest.mark.parametrize("url", [TOKENS, MEMBERSHIPS])
def test_lists_are_paged(ana: User, url: str) -> None:
    for number in range(4):
        ApiToken.objects.issue(ana)
        Membership.objects.create(user=User.objects.create(username=f"u{number}"), instance=an_instance())
    client = client_of(User.objects.create_superuser("root") if url == MEMBERSHIPS else ana)
    ids, target = [], f"{url}?limit=2"
    while target:
        page = client.get(target).json()
        ids += [row["id"] for row in page["results"]]
        target = page["next"]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == (6 if url == MEMBERSHIPS else 5)
    assert client.get(f"{url}?cursor=x").status_code == 404
    assert client.get(f"{url}?wrong=1").status_code == 400


# --- memberships ------------------------------------------------------------------------------------------------------
def test_a_manager_adds_changes_and_ends_memberships(ana: User, shops: tuple[Instance, Instance]) -> None:
    bia, manager = User.objects.create_user("bia"), client_of(ana)
    chat = f"/api/v1/conversations/{a_chat(shops[0]).pk}/"
    client = client_of(bia)
    assert client.get(chat).status_code == 404
    answer = post(manager, MEMBERSHIPS, instance_id=shops[0].pk, username="bia", role="agent")
    row = answer.json()
    assert answer.status_code == 201
    assert {name: row[name] for name in ("instance_id", "user_id", "username", "role")} == {
        "instance_id": shops[0].pk, "user_id": bia.pk, "username": "bia", "role": "agent",
    }  # fmt: skip
    assert [client.get(chat).status_code for _ in range(2)] == [200, 200]
    assert client.post(f"{chat}archive/").status_code == 200
    url = f"{MEMBERSHIPS}{row['id']}/"
    assert manager.patch(url, {"role": "reader"}, format="json").json()["role"] == "reader"
    assert (client.get(chat).status_code, client.post(f"{chat}archive/").status_code) == (200, 403)
    assert manager.delete(url).status_code == 204
    assert client.get(chat).status_code == 404
    assert manager.delete(url).status_code == 404


def test_a_manager_cannot_touch_what_is_not_managed(ana: User, shops: tuple[Instance, Instance]) -> None:
    managed, read = shops
    bia, foreign = User.objects.create_user("bia"), an_instance()
    rows = {shop: Membership.objects.create(user=bia, instance=shop) for shop in (managed, read, foreign)}
    client = client_of(ana)
    shown = {row["id"] for row in client.get(MEMBERSHIPS).json()["results"]}
    assert {row.pk for row in rows.values()} & shown == {rows[managed].pk}
    for shop, status in ((read, 403), (foreign, 404)):
        url = f"{MEMBERSHIPS}{rows[shop].pk}/"
        assert client.delete(url).status_code == status
        assert client.patch(url, {"role": "manager"}, format="json").status_code == status
        assert post(client, MEMBERSHIPS, instance_id=shop.pk, username="ana", role="manager").status_code == status
    assert not Membership.objects.filter(role=Role.MANAGER).exclude(user=ana).exists()


@pytest.mark.parametrize(
    "body",
    [
        {"role": "administrator"},
        {"role": ""},
        {},
        {"role": "agent", "instance_id": 1},
        {"role": "agent", "is_superuser": True},
        {"role": "agent", "user_id": 1},
    ],
)
def test_only_the_role_of_a_membership_changes(ana: User, body: dict[str, Any]) -> None:
    row = Membership.objects.get(user=ana, role=Role.MANAGER)
    assert client_of(ana).patch(f"{MEMBERSHIPS}{row.pk}/", body, format="json").status_code == 400
    row.refresh_from_db()
    assert (row.role, row.user) == (Role.MANAGER, ana)


def test_a_membership_that_exists_is_a_conflict_and_an_unknown_user_an_error(
    ana: User, shops: tuple[Instance, Instance]
) -> None:
    for name, status in (("ana", 409), ("nobody", 404), ("ANA", 404), ("ana ", 404), ("", 404)):
        answer = post(client_of(ana), MEMBERSHIPS, instance_id=shops[0].pk, username=name, role="reader")
        assert answer.status_code == status
    assert Membership.objects.get(user=ana, instance=shops[0]).role == Role.MANAGER


def test_a_membership_that_has_changed_meanwhile_is_not_changed(ana: User, shops: tuple[Instance, Instance]) -> None:
    row, client = Membership.objects.create(user=User.objects.create_user("bia"), instance=shops[0]), client_of(ana)
    url = f"{MEMBERSHIPS}{row.pk}/"
    etag = client.get(url)["ETag"]
    assert client.patch(url, {"role": "reader"}, format="json", headers={"If-Match": etag}).status_code == 200
    for method, body in (("patch", {"role": "manager"}), ("delete", None)):
        answer = getattr(client, method)(url, body, format="json", headers={"If-Match": etag})
        assert answer.status_code == 412
    since = {"If-Unmodified-Since": "Sat, 29 Oct 1994 19:43:31 GMT"}  # a membership does not know when it changed
    assert client.delete(url, headers=since).status_code == 204


def test_a_repeated_request_makes_one_token_and_shows_the_secret_once(ana: User) -> None:
    client, headers = client_of(ana), {"Idempotency-Key": "a key"}
    answers = [client.post(TOKENS, {"scopes": ["read"]}, format="json", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert ApiToken.objects.count() == 2


# --- sessions ---------------------------------------------------------------------------------------------------------
def test_a_session_needs_a_csrf_token_for_every_change(ana: User, shops: tuple[Instance, Instance]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    row = Membership.objects.create(user=User.objects.create_user("bia"), instance=shops[0])
    calls = [
        ("post", TOKENS, {"scopes": ["read"]}),
        ("post", MEMBERSHIPS, {"instance_id": shops[0].pk, "username": "root", "role": "agent"}),
        ("patch", f"{MEMBERSHIPS}{row.pk}/", {"role": "manager"}),
        ("delete", f"{MEMBERSHIPS}{row.pk}/", None),
        ("delete", f"{TOKENS}{ApiToken.objects.issue(ana)[0].pk}/", None),
    ]
    for method, url, body in calls:
        answer = getattr(client, method)(url, body, content_type="application/json")
        assert answer.status_code == 403, url
        assert "CSRF" in answer.json()["detail"]
    assert (ApiToken.objects.filter(revoked_at=None).count(), Membership.objects.count()) == (1, 3)
    script = client.get("/api/docs/?script=").content.decode()
    token = script.split('request.headers["X-CSRFTOKEN"] = "')[1].split('"')[0]
    answer = client.post(TOKENS, {"scopes": ["read"]}, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 201


def test_tokens_that_ended_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_models, "MAX_ENDED_TOKENS", 2, raising=False)
    user, live = User.objects.create_user("loop"), []
    kept, _ = ApiToken.objects.issue(user)
    for _ in range(6):
        row, _ = ApiToken.objects.issue_by_api(user, made_by=kept.pk)
        row.revoke()
        live.append(row.pk)
    row, _ = ApiToken.objects.issue_by_api(user, made_by=kept.pk)
    assert set(ApiToken.objects.filter(user=user).values_list("pk", flat=True)) == {kept.pk, *live[-2:], row.pk}
