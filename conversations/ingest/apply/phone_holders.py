"""Decides to which LID a phone number belonged at a time, without using the database.

WhatsApp gives each account one LID for good, while an operator can give a phone number to another person. Therefore a
phone number belongs to one LID at a time. Each event that shows a phone number together with a LID is a claim of the
LID to the number, at the time of the event.
"""

from collections.abc import Mapping

# LID (a JID) → the times of its first and last claim to one phone number: milliseconds and days since the epoch. Days
# keep the number of writes low, because each message can repeat the claim.
Claims = Mapping[str, list[int]]
_DAY_MS = 86_400_000
# Kept claims of LIDs to one phone number, or of one LID to phone numbers while they wait; messages load them.
MAX_CLAIMS = 8


def new_claim(ms: int) -> list[int]:
    """Return the times of a claim that was made once, at `ms`."""
    return [ms, ms // _DAY_MS]


def merge_claims(claims: Claims, other: Claims) -> dict[str, list[int]]:
    """Return the claims of both arguments; of more than `MAX_CLAIMS`, the first ones in alphabetical order.

    A JID never changes, and a claim that was left out is left out for good. So any order of claims keeps the same ones.
    """
    merged = dict(claims)
    for jid, (first, last) in other.items():
        known = merged.get(jid, [first, last])
        merged[jid] = [min(first, known[0]), max(last, known[1])]
    return {jid: merged[jid] for jid in sorted(merged)[:MAX_CLAIMS]} if len(merged) > MAX_CLAIMS else merged


def holder(claims: Claims, ms: int | None = None) -> str:
    """Return the LID (a JID) to which a phone number belonged at a time; "" without claims.

    Of the LIDs that have claimed the number by then, the one with the latest claim holds it. Before the first claim,
    the number belonged to the LID that claimed it first.

    Args:
        claims: all claims to the phone number.
        ms: the time in milliseconds since the epoch; None for now.
    """
    claimed = {jid: times for jid, times in claims.items() if ms is None or times[0] <= ms}
    if claimed:
        return max(claimed, key=lambda jid: (claimed[jid][1], claimed[jid][0], jid))
    return min(claims, key=lambda jid: (claims[jid], jid), default="")


def latest_claim(claims: Claims) -> tuple[int, int]:
    """Return the sort key by which the phone numbers of a LID are ordered; the latest number is the greatest."""
    return max(((last, first) for first, last in claims.values()), default=(0, 0))
