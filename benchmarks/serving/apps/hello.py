"""The least that can stand on uvicorn: read the body, answer 31 bytes."""

from __future__ import annotations

SAID = b'{"predictions":[[0.9,0.1,0.0]]}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(SAID)).encode()),
    ],
}
END = {"type": "http.response.body", "body": SAID}


async def app(scope: dict, receive: object, send: object) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(END)
