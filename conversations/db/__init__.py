"""Database techniques that do not depend on the domain: bulk writes, keyset pagination and cascades in SQL."""
