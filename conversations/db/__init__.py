"""Database techniques that know nothing of the domain: bulk writes, keyset pagination and cascades in SQL."""
