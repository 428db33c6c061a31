"""A server of the simplest kind, for real clients to be tried against through the balancer.

Standard library only: GET /bytes?n=N, POST /echo, a websocket that echoes at /ws, and /page, which
talks over that websocket in a browser and says in its text whether all came back.
"""

import asyncio
import base64
import hashlib
import os
import struct
import sys
from urllib.parse import parse_qs, urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
MESSAGES = 50

# The picture is answered when the websocket is done, and the page is not loaded before: whoever
# waits for the load event reads the verdict.
PAGE = (
    b"<!doctype html><title>app</title><p id=verdict>waiting</p><script>"
    b"const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');"
    b"let back = 0; const say = text => { verdict.textContent = text; done.src = '/done'; };"
    b"socket.onopen = () => { for (let n = 0; n < %d; n++) socket.send('message ' + n); };"
    b"socket.onmessage = event => { if (event.data !== 'message ' + back++) say('websocket-wrong');"
    b"  else if (back === %d) say('websocket-ok'); };"
    b"socket.onerror = () => say('websocket-failed');"
    b"</script><img id=done src=/later>" % (MESSAGES, MESSAGES)
)


async def head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    fields = dict(line.split(":", 1) for line in lines[1:] if ":" in line)
    return method, urlsplit(target), {name.lower(): value.strip() for name, value in fields.items()}


async def body(reader, fields):
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", 0)))
    whole = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        whole += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return whole


async def message(reader):
    """One frame's opcode and payload; clients' frames are masked (RFC 6455, 5.2)."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length >= 126:
        size, form = (2, ">H") if length == 126 else (8, ">Q")
        (length,) = struct.unpack(form, await reader.readexactly(size))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return first, whole.to_bytes(length, "big")


def frame(first, payload):
    length = len(payload)
    if length < 126:
        return bytes([first, length]) + payload
    if length < 65536:
        return bytes([first, 126]) + struct.pack(">H", length) + payload
    return bytes([first, 127]) + struct.pack(">Q", length) + payload


async def websocket(reader, writer, fields):
    accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + GUID).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
    writer.write(b"sec-websocket-accept: " + accept + b"\r\n\r\n")
    while True:
        first, payload = await message(reader)
        opcode = first & 0x0F
        writer.write(frame(0x8A if opcode == 9 else first, payload))
        await writer.drain()
        if opcode == 8:
            return


def answer(status, payload, kind=b"text/plain", is_head=False):
    fields = b"HTTP/1.1 " + status + b"\r\ncontent-type: " + kind
    return fields + b"\r\ncontent-length: %d\r\n\r\n" % len(payload) + (b"" if is_head else payload)


async def serve(reader, writer):
    try:
        while True:
            method, target, fields = await head(reader)
            if target.path == "/ws":
                return await websocket(reader, writer, fields)
            if "100-continue" in fields.get("expect", ""):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            payload, is_head = await body(reader, fields), method == "HEAD"
            if target.path == "/bytes":
                count = int(parse_qs(target.query)["n"][0])
                writer.write(answer(b"200 OK", b"x" * count, is_head=is_head))
            elif target.path == "/echo":
                writer.write(answer(b"200 OK", payload))
            elif target.path == "/page":
                writer.write(answer(b"200 OK", PAGE, b"text/html"))
            elif target.path == "/later":
                await asyncio.sleep(20)
                writer.write(answer(b"204 No Content", b""))
            else:
                writer.write(answer(b"200 OK", b"ok"))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ.get("PORT", 0)), limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
