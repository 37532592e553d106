"""Evolution API's webhooks, read: payload in, facts out. Pure functions of their arguments; no database, no clock."""
