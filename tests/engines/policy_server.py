#!/usr/bin/env python3
"""A small server that answers as OPA does, and keeps memory of each decision where it is told to: `--keep BYTES`."""

import asyncio
import json
import sys

KEPT: list[bytes] = []
PATHS = {"/health": b"{}", "/v1/policies": b'{"result": []}'}


def keep_bytes() -> int:
    return int(sys.argv[sys.argv.index("--keep") + 1]) if "--keep" in sys.argv else 0


def answer(method: str, path: str) -> bytes:
    if method == "POST":
        if size := keep_bytes():
            KEPT.append(bytes(size))
        return b'{"result": true}'
    if path == "/metrics":
        return f"go_memstats_next_gc_bytes {2 * (1_000_000 + sum(map(len, KEPT)))}\n".encode()
    return PATHS.get(path, b'{"result": true}')


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split()
            lengths = [line.split(":")[1] for line in head[1:] if line.lower().startswith("content-length:")]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            body = answer(method, path.partition("?")[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    host, _, port = sys.argv[sys.argv.index("--addr") + 1].rpartition(":")
    async with await asyncio.start_server(serve, host, int(port)) as server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "run":
        asyncio.run(main())
    print(json.dumps({"unknown command": sys.argv[1]}))
    raise SystemExit(1)
