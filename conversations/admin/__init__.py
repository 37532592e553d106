"""Django's admin of the domain: for people who look for one conversation among many, or ask what became of an event."""
