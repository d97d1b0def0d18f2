"""A small model server that does as it is told, for tests of what surrounds one.

It speaks the whole contract (frames and HTTP on FARERO_SOCKET, the ready datagram, failure.json) without a framework.
BEHAVIOUR says how it starts, and WHEN, if it is given, the file without which it starts well; the body of a request
says what to do with it.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path

PREFIX = struct.Struct(">IIH")
NAME = os.environ.get("MODEL_NAME", "model")


async def answer(head, body):
    word, _, rest = body.decode("latin-1").partition(" ")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "sleep":
        await asyncio.sleep(float(rest))
        return 200, {"content-type": "text/plain"}, b"slept"
    if word == "until":
        while not Path(rest).exists():  # noqa: ASYNC110, ASYNC240 - who asks makes it
            await asyncio.sleep(0.005)
        return 200, {"content-type": "text/plain"}, b"there"
    if word == "status":
        number, _, text = rest.partition(" ")
        return int(number), {"content-type": "text/plain"}, text.encode("latin-1")
    if word == "headers":
        return 200, {"content-type": "application/json"}, json.dumps(head["headers"]).encode()
    if word == "name":
        return 200, {"content-type": "text/plain"}, f"{NAME} {os.getpid()}".encode()
    headers = {"content-type": head["headers"].get("content-type", "text/plain")}
    if "x-amzn-sagemaker-custom-attributes" in head["headers"]:
        headers["x-amzn-sagemaker-custom-attributes"] = "from the model"
    return 200, headers, body


async def frames(reader, writer):
    async def one(number, head, body):
        status, headers, out = await answer(head, body)
        said = json.dumps({"status": status, "headers": headers}).encode()
        writer.write(PREFIX.pack(6 + len(said) + len(out), number, len(said)) + said + out)

    tasks = set()
    try:
        while True:
            length, number, head_length = PREFIX.unpack(await reader.readexactly(PREFIX.size))
            rest = await reader.readexactly(length - 6)
            task = asyncio.create_task(
                one(number, json.loads(rest[:head_length]), rest[head_length:])
            )
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    except asyncio.IncompleteReadError:
        writer.close()


async def connection(reader, writer):
    first = await reader.readexactly(4)
    if first == b"FRO1":
        await frames(reader, writer)
        return
    await reader.readuntil(b"\r\n\r\n")
    status = os.environ.get("PING_STATUS", "200")
    writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()


async def serve():
    path = os.environ["FARERO_SOCKET"]
    server = await asyncio.start_unix_server(connection, path)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if os.environ.get("FARERO_NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(
                os.environ["FARERO_NOTIFY_MESSAGE"].encode(), os.environ["FARERO_NOTIFY_SOCKET"]
            )
    await stopped.wait()
    server.close()


def main():
    behaviour, _, rest = os.environ.get("BEHAVIOUR", "").partition(":")
    if "WHEN" in os.environ and not Path(os.environ["WHEN"]).exists():
        behaviour = ""
    sys.stdout.write(f"program starts as {NAME}\n")
    sys.stdout.flush()
    if behaviour == "report":
        folder = Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output"
        (folder / "failure.json").write_text(rest)
        sys.exit(1)
    if behaviour == "exit":
        sys.exit(int(rest))
    if behaviour == "signal":
        os.kill(os.getpid(), int(rest))
    if behaviour == "die-after":
        signal.signal(signal.SIGALRM, lambda *_: os._exit(7))
        signal.setitimer(signal.ITIMER_REAL, float(rest))
    if behaviour == "hang":
        signal.pause()
    Path(os.environ["FARERO_SOCKET"]).unlink(missing_ok=True)
    asyncio.run(serve())


main()
