"""The origin is told to stop under load: what a client gets is whole, or an error that says so."""

import asyncio
import os
import secrets
import signal
import time
from collections import Counter

from client import Client, head_of, parse_head
from programs import need, together

BIG = 1_500_000
COUNT = 400
CLIENTS = 8
SLOW_CLIENTS = 4
# More than the kernel takes off the origin's hands, and how long they take for it.
SLOW_BIG = 16_000_000
SLOW_S = 6
# How long a stop may take, in seconds.
LIMIT_S = 30


class Load:
    """Cold segments, one after the other, through each edge."""

    def __init__(self, title):
        folder = f"{title.variants()[0][0].rsplit('/', 1)[0]}".replace(title.prefix, "")
        self.folder = f"/v/big/{folder}"
        place = title.folder / "v/big" / folder
        place.mkdir(parents=True)
        self.body = secrets.token_bytes(BIG)
        first = place / "1.m4s"
        first.write_bytes(self.body)
        for number in range(2, COUNT + 1):
            os.link(first, place / f"{number}.m4s")
        self.slow_path = f"{self.folder}/{COUNT + 1}.m4s"
        (place / f"{COUNT + 1}.m4s").write_bytes(self.body * (SLOW_BIG // BIG))
        self.seen = Counter()
        self.over = asyncio.Event()

    async def read(self, edge, numbers):
        client = Client(edge.port)
        for number in numbers:
            if self.over.is_set():
                break
            answer = await client.ask(f"{self.folder}/{number}.m4s")
            self.seen["asked"] += 1
            what = f"all of {self.folder}/{number}.m4s through {edge.name}"
            need(answer, what, "the connection closed")
            need(answer.whole, what, f"{answer.status} and {len(answer.body)} bytes")
            if answer.status == 200:
                need(answer.body == self.body, f"the stored {BIG} bytes", len(answer.body))
                self.seen["whole"] += 1
            else:
                need(answer.status in (502, 503, 504), "200 or a gateway's error", answer.status)
                self.seen["refused"] += 1
                await asyncio.sleep(0.1)
        client.close()

    async def read_slowly(self, port):
        """Without an edge, a piece at a time."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(head_of("GET", self.slow_path, [], "cdn.example"))
        _, fields = parse_head((await reader.readuntil(b"\r\n\r\n"))[:-4])
        length = left = int(dict(fields)["content-length"])
        while left:
            piece = await reader.read(1 << 16)
            need(piece, f"all of {self.slow_path}", f"the connection closed with {left} bytes to come")
            left -= len(piece)
            await asyncio.sleep(SLOW_S * len(piece) / length)
        writer.close()
        self.seen["slow"] += 1


async def prove_graceful_stop(edges, origin, title):
    load = Load(title)
    numbers = [iter(range(1, COUNT + 1)) for _ in edges]
    readers = [
        asyncio.create_task(load.read(edge, count)) for edge, count in zip(edges, numbers) for _ in range(CLIENTS)
    ]
    readers += [asyncio.create_task(load.read_slowly(origin.port)) for _ in range(SLOW_CLIENTS)]
    await asyncio.sleep(0.7)
    before = load.seen["whole"]
    began = time.monotonic()
    origin.running.signal(signal.SIGTERM)
    code = await origin.running.ended(LIMIT_S)
    seconds = time.monotonic() - began
    load.over.set()
    await together(*readers)
    need(code == 0, f"the origin to end with 0 within {LIMIT_S} s", code)
    need(before and load.seen["whole"] > before, "whole answers before and after it was told to stop", load.seen)
    cut = [
        exchange for edge in edges for exchange in edge.witness.seen(load.folder)
        if exchange.status == 200 and not exchange.whole
    ]
    need(not cut, "no answer of the origin cut off", cut)
    await origin.start()
    return (
        f"told to stop under {CLIENTS * len(edges)} clients: {load.seen['whole']} whole answers of {BIG:,} bytes, "
        f"{load.seen['refused']} refused, {load.seen['slow']} slow ones whole, none cut off; ended after {seconds:.1f} s"
    )
