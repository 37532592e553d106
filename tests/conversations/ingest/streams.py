"""Hypothesis strategies for lists of webhook bodies, with so few distinct values that events conflict.

The bodies name two people with two addresses each, one group, and so few message key ids that chats share some.
"""

import datetime as dt

from hypothesis import strategies as st

from tests.conversations.ingest.bodies import ANA, GROUP, OWNER, PEOPLE, SECOND, SHORT_FORM, Body, envelope

OWN_LID = "99001122334455@lid"
LIST = "1772459000@broadcast"
DAY = 86_400  # seconds

key_ids = st.sampled_from(["A1", "A2", "A3"])
texts = st.sampled_from(["oi", "é", '"', ""])  # as JSON, these texts sort differently
names = st.sampled_from(["Ana", "Ana Lima", "Você", "", "5521987654321", None])
booleans = st.booleans()
seconds = st.integers(SECOND, SECOND + 5)
clocks = st.integers(0, 5).map(lambda n: f"2025-12-11T10:00:0{n}.000Z") | st.just("")
people = st.sampled_from(PEOPLE)
own_participants = st.sampled_from(
    [
        {},
        {"participant": OWN_LID},
        {"participant": OWN_LID.replace("@", ":12@"), "participantAlt": OWNER},
        {"participant": OWNER.replace("@", ":7@")},
    ]
)
addresses = st.sampled_from([*ANA, *PEOPLE[1], SHORT_FORM])
# When this server received a body, in seconds after it was sent: at once, after a retry, or in a late replay.
delays = st.sampled_from([0.2, 600, 5 * 3600, 86400, 90 * 86400])
# By how many hours the clock of the Evolution host is ahead of UTC.
zones = st.sampled_from([0, -3, 7, 24 * 365])
statuses = st.sampled_from(["ERROR", "PENDING", "SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED", "DELETED", 4, "FAILED"])


@st.composite
def keys(draw: st.DrawFn) -> Body:
    """Draw a message key, either of the group or of a direct chat with one or both addresses of a person."""
    key: Body = {"id": draw(key_ids), "fromMe": draw(booleans)}
    phone, lid = draw(people)
    if draw(st.integers(0, 3)) == 0:
        members = [{"participant": lid, "participantAlt": phone}, {"participant": lid}, {"participant": phone}]
        shown = draw(st.sampled_from([*members, {"participant": "867051314767696@bot"}]))
        return {**key, "remoteJid": GROUP, **(draw(own_participants) if key["fromMe"] else shown)}
    forms = [
        {"remoteJid": phone},
        {"remoteJid": lid},
        {"remoteJid": phone, "remoteJidAlt": lid},
        {"remoteJid": lid, "remoteJidAlt": phone},
        {"remoteJid": LIST, "participant": lid, "participantAlt": phone},
    ]
    if key["fromMe"]:
        forms.append({"remoteJid": phone, "remoteJidAlt": OWN_LID})
    return {**key, **draw(st.sampled_from(forms))}


album = {"messageAssociation": {"associationType": 1, "parentMessageKey": {"id": "A3"}}}
signals = st.sampled_from(
    [
        {"albumMessage": {"expectedImageCount": 2}},
        {"messageContextInfo": {"messageSecret": {"0": 1}}},
        {"senderKeyDistributionMessage": {"groupId": GROUP}},
        {"encEventResponseMessage": {"encPayload": {"0": 1}}},
        {"call": {"callKey": {"0": 1}}},
    ]
)
edited_contents = st.one_of(
    texts.map(lambda text: {"conversation": text}),
    texts.map(lambda text: {"imageMessage": {"caption": text}}),
    texts.map(lambda text: {"eventMessage": {"name": text, "isCanceled": True, "endTime": len(text)}}),
    st.just({"wrapperOfTomorrow": {"message": {"conversation": "novo"}}}),
    st.just({"messageOfTomorrow": {"count": 1}}),
)
plain_contents = st.one_of(
    texts.map(lambda text: {"conversation": text}),
    texts.map(lambda text: {"imageMessage": {"caption": text, "mimetype": "image/jpeg"}}),
    st.just({"pollCreationMessageV3": {"name": "Qual?", "options": [{"optionName": "a"}]}}),
    texts.map(lambda text: {"eventMessage": {"name": text, "startTime": {"low": len(text), "high": 0}}}),
    texts.map(lambda text: {"orderMessage": {"message": text, "totalAmount1000": 5}}),
    texts.map(lambda text: {"messageOfTomorrow": {"title": text, "parts": [{"body": text}]}}),
    st.just({"imageMessage": {"mimetype": "image/jpeg"}, "messageContextInfo": album}),
    key_ids.map(lambda key_id: {"scheduledCallEditMessage": {"key": {"id": key_id}, "editType": 1}}),
    signals,
    st.just({}),
    st.builds(
        lambda key_id, emoji, at: {"reactionMessage": {"key": {"id": key_id}, "text": emoji, "senderTimestampMs": at}},
        key_ids,
        st.sampled_from(["👍", "❤", ""]),
        seconds.map(lambda s: s * 1000),
    ),
    st.builds(
        lambda key_id, edited, kind: {
            "protocolMessage": {"key": {"id": key_id}, "type": kind, "editedMessage": edited}
        },
        key_ids,
        edited_contents,
        st.sampled_from([14, 14, 0]),
    ),
    st.builds(
        lambda key_id, options, at: {
            "pollUpdateMessage": {
                "pollCreationMessageKey": {"id": key_id},
                "vote": {"selectedOptions": options},
                "senderTimestampMs": at,
            }
        },
        key_ids,
        st.sampled_from([["a"], ["a", "b"], []]),
        seconds.map(lambda s: s * 1000),
    ),
)
wrappers = st.sampled_from(["ephemeralMessage", "viewOnceMessageV2", "editedMessage", "wrapperOfTomorrow"])
contents = st.one_of(
    plain_contents, plain_contents, st.builds(lambda key, inner: {key: {"message": inner}}, wrappers, plain_contents)
)


@st.composite
def records(draw: st.DrawFn) -> Body:
    record = {
        "key": draw(keys()),
        "pushName": draw(names),
        "message": draw(contents),
        "messageType": "conversation",
        "messageTimestamp": draw(seconds),
    }
    if draw(booleans):
        record["status"] = draw(statuses)
    return record


@st.composite
def stored_records(draw: st.DrawFn) -> Body:
    """Draw a record of Evolution's database: with a list of statuses, and sometimes edited, revoked or deleted."""
    record = draw(records())
    record["MessageUpdate"] = [{"status": name} for name in draw(st.lists(statuses | st.just("EDITED"), max_size=3))]
    if draw(st.integers(0, 3)) == 0:
        record["message"] = None
    if draw(st.integers(0, 3)) == 0:
        record["key"]["deleted"] = True
    if draw(st.integers(0, 5)) == 0:
        record["messageTimestamp"] = draw(st.sampled_from([None, 0, "soon", SECOND * 10]))
    return record


@st.composite
def delivered(draw: st.DrawFn, bodies: st.SearchStrategy[Body]) -> Body:
    """Draw a body, and sometimes when it was received, and how wrong the clock of its host was."""
    body = draw(bodies)
    if draw(booleans):
        return body
    sent = dt.datetime.fromtimestamp(draw(seconds), dt.UTC)
    shown = sent + dt.timedelta(hours=draw(zones))
    date_time = shown.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**body, "date_time": date_time, "received_at": sent + dt.timedelta(seconds=draw(delays))}


upserts = st.builds(envelope, st.sampled_from(["messages.upsert", "send.message"]), records(), clocks)
histories = st.builds(envelope, st.just("messages.set"), st.lists(records() | stored_records(), max_size=4), clocks)
acks = st.builds(
    lambda key_id, jid, from_me, status, clock: envelope(
        "messages.update", {"keyId": key_id, "remoteJid": jid, "fromMe": from_me, "status": status}, clock
    ),
    key_ids,
    addresses | st.just(GROUP) | st.just("5521987654321"),
    booleans,
    statuses,
    clocks,
) | st.builds(
    lambda key, status, clock: envelope("messages.update", {"keyId": key["id"], "key": key, "status": status}, clock),
    keys(),
    statuses,
    clocks,
)
poll_results = st.builds(
    lambda key_id, voters, clock: envelope(
        "messages.update",
        {"keyId": key_id, "remoteJid": GROUP, "fromMe": False, "pollUpdates": [{"name": "a", "voters": voters}]},
        clock,
    ),
    key_ids,
    st.lists(st.sampled_from([*ANA, OWNER, OWN_LID]), max_size=2),
    clocks,
)
edits = st.builds(
    lambda event, key_id, jid, is_author, participant, edited, at, kind: envelope(
        event,
        {
            "key": {"id": key_id, "remoteJid": jid, "fromMe": is_author, **(participant if jid == GROUP else {})},
            "type": kind,
            "editedMessage": edited,
            "timestampMs": at and str(at * 1000),
        },
    ),
    st.sampled_from(["messages.edited", "send.message.update"]),
    key_ids,
    st.sampled_from([OWNER, GROUP, *ANA, LIST]),
    st.sampled_from([True, True, False]),
    own_participants | st.sampled_from([{"participant": ANA[1], "participantAlt": ANA[0]}, {"participant": ANA[0]}]),
    edited_contents | st.none(),
    seconds | st.sampled_from([None, SECOND * 10]),
    st.sampled_from(["MESSAGE_EDIT", 14, 0, "REVOKE", "EPHEMERAL_SETTING"]),
)
updated_texts = st.builds(
    lambda key_id, jid, from_me, text, clock: envelope(
        "messages.update",
        {
            "keyId": key_id,
            "remoteJid": jid,
            "fromMe": from_me,
            "status": "SERVER_ACK",
            "message": {"editedMessage": {"message": {"conversation": text}}},
        },
        clock,
    ),
    key_ids,
    addresses | st.just(GROUP),
    booleans,
    texts,
    clocks,
)
# The Cloud API chooses the key ids, so the only message with this key id is one to ANA.
cloud = st.one_of(
    st.builds(
        lambda clock: envelope(
            "send.message",
            {
                "key": {"id": "wamid.1", "fromMe": True, "remoteJid": ANA[0]},
                "message": {"conversation": "oi"},
                "messageType": "conversation",
                "messageTimestamp": SECOND,
            },
            clock,
        ),
        clocks,
    ),
    st.builds(
        lambda jid, status, clock: envelope(
            "messages.update", {"keyId": "wamid.1", "remoteJid": jid, "fromMe": False, "status": status}, clock
        ),
        addresses,
        st.sampled_from(["SENT", "DELIVERED", "READ", "FAILED"]),
        clocks,
    ),
)
deletes = st.builds(lambda key: envelope("messages.delete", {**key, "status": "DELETED"}), keys())
contacts = st.builds(
    lambda in_array, jid, name, picture, clock: envelope(
        "contacts.update", in_array([{"remoteJid": jid, "pushName": name, "profilePicUrl": picture}]), clock
    ),
    st.sampled_from([list, lambda items: items[0]]),
    addresses,
    names,
    st.sampled_from([None, "https://pps.whatsapp.net/1", "https://pps.whatsapp.net/2"]),
    clocks,
)
chats = st.one_of(
    st.builds(
        lambda jid, name, clock: envelope("chats.set", [{"remoteJid": jid, "name": name}], clock),
        addresses | st.just(GROUP),
        names,
        clocks,
    ),
    st.builds(lambda jid, clock: envelope("chats.delete", [jid], clock), addresses | st.just(GROUP), clocks),
    st.builds(
        lambda jid, kind, clock: envelope("labels.association", {"type": kind, "chatId": jid, "labelId": "7"}, clock),
        addresses | st.just(GROUP),
        st.sampled_from(["add", "remove"]),
        clocks,
    ),
)
members = st.lists(
    st.one_of(
        people.map(lambda pair: {"id": pair[1], "phoneNumber": pair[0], "admin": None}),
        people.map(lambda pair: {"id": pair[1], "admin": "admin"}),
        people.map(lambda pair: pair[0]),
        st.just({"id": OWN_LID, "phoneNumber": OWNER, "admin": "admin"}),
    ),
    max_size=3,
)
groups = st.one_of(
    st.builds(
        lambda subject, found, clock: envelope(
            "groups.upsert", [{"id": GROUP, "subject": subject, "participants": found}], clock
        ),
        st.sampled_from(["Equipe", "Equipe RJ"]),
        members,
        clocks,
    ),
    st.builds(
        lambda action, found, clock: envelope(
            "group-participants.update", {"id": GROUP, "action": action, "participants": found}, clock
        ),
        st.sampled_from(["add", "remove", "promote", "demote", "modify"]),
        members,
        clocks,
    ),
)
presences = st.builds(
    lambda jid, state, clock: envelope(
        "presence.update", {"id": jid, "presences": {jid: {"lastKnownPresence": state}}}, clock
    ),
    addresses,
    st.sampled_from(["available", "composing", "unavailable"]),
    clocks,
)
callers = (addresses | st.just(GROUP)).map(lambda jid: {"from": jid}) | people.map(
    lambda pair: {"from": pair[1], "callerPn": pair[0]}
)
calls = st.builds(
    lambda caller, group, medium, stage, second, clock: envelope(
        "call",
        {
            "chatId": caller["from"],
            "id": "C1",
            "date": f"2025-12-11T13:00:0{second}.000Z",
            "status": stage,
            **caller,
            **group,
            **medium,
        },
        clock,
    ),
    callers,
    st.sampled_from([{}, {"isGroup": True}, {"isGroup": True, "groupJid": GROUP}]),
    st.sampled_from([{}, {"isVideo": True}]),
    st.sampled_from(["offer", "ringing", "terminate", "accept", "reject", "timeout"]),
    st.integers(0, 3),
    clocks,
) | st.builds(
    # A record of a call in a chat, with the id of the call.
    lambda jid, caption, at, clock: envelope(
        "messages.upsert",
        {
            "key": {"id": "C1", "fromMe": False, "remoteJid": jid},
            "message": {"bcallMessage": {"caption": caption, "mediaType": 1}},
            "messageType": "bcallMessage",
            "messageTimestamp": at,
        },
        clock,
    ),
    addresses,
    texts,
    seconds,
    clocks,
)
connections = st.one_of(
    st.builds(
        lambda state, clock: envelope("connection.update", {"state": state, "statusReason": 200, "wuid": OWNER}, clock),
        st.sampled_from(["open", "connecting", "close", "refused"]),
        clocks,
    ),
    st.builds(
        lambda event, clock: envelope(event, None, clock),
        st.sampled_from(["logout.instance", "remove.instance", "instance.create", "instance.delete"]),
        clocks,
    ),
)
bodies = st.one_of(
    upserts, upserts, histories, acks, poll_results, edits, updated_texts, deletes, cloud, contacts, chats, groups,
    presences, calls, connections,
)  # fmt: skip
events = delivered(bodies)


# --- recycled numbers -------------------------------------------------------------------------------------------------
@st.composite
def recycled(draw: st.DrawFn) -> Body:
    """Draw an event of one of two people who have each of two numbers in turn; each event shows the sender's LID.

    Each person has their own message ids, because only the LID tells the people apart.
    """
    person, (_, lid) = draw(st.sampled_from(list(enumerate(PEOPLE))))
    phone, at = draw(people)[0], draw(st.integers(0, 5)) * DAY // 2
    kind = draw(st.sampled_from(["message", "message", "reaction", "contact", "group"]))
    clock = f"2025-12-1{at // DAY}T10:00:00.000Z"
    if kind == "contact":
        return envelope("contacts.upsert", [{"remoteJid": lid, "jid": phone, "pushName": draw(names)}], clock)
    if kind == "group":
        return envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": lid, "phoneNumber": phone}]}], clock)
    name, in_group = f"{'AB'[person]}{draw(st.integers(1, 3))}", draw(booleans)
    key: Body = {"remoteJid": phone, "remoteJidAlt": lid}
    key = {"remoteJid": GROUP, "participant": lid, "participantAlt": phone} if in_group else key
    content: Body = {"conversation": draw(texts)}
    if kind == "reaction":
        content = {"reactionMessage": {"key": {"id": name}, "text": "👍", "senderTimestampMs": (SECOND + at) * 1000}}
    key |= {"id": name if kind == "message" else f"R{name}", "fromMe": False}
    record = {"key": key, "pushName": draw(names), "message": content, "messageTimestamp": SECOND + at}
    return envelope("messages.upsert", {**record, "messageType": "conversation"}, clock)
