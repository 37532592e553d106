"""The domain: WhatsApp instances, contacts, conversations and messages; from Evolution's webhooks to the REST API."""
