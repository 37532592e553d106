"""Events and questions as bytes, made before the clock starts."""

from conversations.demo.events import Event


def post(event: Event, token: str, host: str) -> bytes:
    """Return the request with which Evolution posts an event."""
    delivery = event.delivery
    head = (
        f"POST {delivery.path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/plain, */*\r\n"
        f"Content-Type: application/json\r\nUser-Agent: axios/1.7.9\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(delivery.body)}\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode() + delivery.body


def get(path: str, token: str, host: str) -> bytes:
    """Return the request with which a consumer of the API asks for something."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Token {token}\r\n\r\n".encode()
