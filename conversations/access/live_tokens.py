"""The digests of all live tokens in the memory of this process, which tell whether a token is worth a look-up.

They save queries while an address guesses tokens. They permit nothing: a token among them is still looked up. A site
with more than `MAX_TOKENS` live tokens looks up every token, because loading them would cost more than it saves.
"""

import threading
from time import monotonic

from conversations.models import ApiToken
from conversations.models.access import token_digest
from logs.fork import after_fork

RELOAD_SECONDS = 1.0  # how often unknown tokens make this process load the digests at most
MAX_TOKENS = 100_000  # digests in memory: about 24 MB, and a fifth of a second for loading them


class LiveTokens:
    """The digests, as this process last loaded them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all digests, and replace the lock, which a thread may have held during a fork."""
        self._digests: frozenset[str] = frozenset()
        self._are_too_many = False
        self._reload_at = float("-inf")  # a time of `monotonic`
        self._lock = threading.Lock()

    def __contains__(self, token: str) -> bool:
        """Return whether a token may be live: a new one is found in a second, an ended one is forgotten at a reload.

        Raises:
            DatabaseError, InterfaceError: the query fails.
        """
        digest = token_digest(token)
        if digest not in self._digests and not self._are_too_many:
            self._reload()
        return digest in self._digests or self._are_too_many

    def _reload(self) -> None:
        with self._lock:
            started_at = monotonic()
            if started_at >= self._reload_at:
                digests = frozenset(ApiToken.objects.live().values_list("digest", flat=True)[: MAX_TOKENS + 1])
                self._are_too_many = len(digests) > MAX_TOKENS
                self._digests = frozenset() if self._are_too_many else digests
                self._reload_at = started_at + RELOAD_SECONDS


live_tokens = LiveTokens()
after_fork(live_tokens.reset)
