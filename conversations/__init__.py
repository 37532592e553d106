"""Stores WhatsApp instances, contacts, conversations and messages from Evolution's webhooks; serves them by REST."""
