"""A believable history for a new installation, posted through the webhook endpoint like any other."""
