"""The web server: one event loop reads requests and writes responses, and threads run Django in between."""
