"""What is stored and sent: tags, entry keys, entries, the value encoding, channel messages. Pure, no I/O."""
