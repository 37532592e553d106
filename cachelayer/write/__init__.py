"""How writes invalidate: intents in the store, Django's transactions, and the outbox used while the store is away."""
