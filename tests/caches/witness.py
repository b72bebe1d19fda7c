"""Stands between an edge and the origin, passes every byte on as it is, and notes each exchange: what
the origin was really asked, and what it said. It knows nothing of either end, and holds up nothing."""

import asyncio
import math
from dataclasses import dataclass, field

from client import parse_head

PIECE = 1 << 16


@dataclass
class Exchange:
    method: str
    target: str
    asked: dict
    status: int = 0
    answered: dict = field(default_factory=dict)
    # Whether all of the answer came that was promised.
    whole: bool = False

    @property
    def is_conditional(self):
        return "if-none-match" in self.asked or "if-modified-since" in self.asked


class Heads:
    """Finds the heads in one direction of a connection; bodies are counted and passed over."""

    def __init__(self, on_head, on_end):
        self.on_head, self.on_end = on_head, on_end
        self.head, self.left = b"", 0

    def feed(self, data):
        while data:
            if self.left:
                count = min(self.left, len(data))
                self.left, data = self.left - count, data[count:]
            else:
                self.head += data
                head, found, data = self.head.partition(b"\r\n\r\n")
                if not found:
                    return
                self.head = b""
                self.left = self.on_head(head)
            if not self.left:
                self.on_end()


class Line:
    """One connection of an edge: its exchanges in order."""

    def __init__(self, exchanges):
        self.exchanges, self.open = exchanges, []
        self.requests = Heads(self.asked, lambda: None)
        self.answers = Heads(self.answered, self.ended)

    def asked(self, head):
        first, fields = parse_head(head)
        method, target = (first.split(" ") + ["", ""])[:2]
        exchange = Exchange(method, target, dict(fields))
        self.exchanges.append(exchange)
        self.open.append(exchange)
        return self.length(exchange.asked, 0)

    def answered(self, head):
        first, fields = parse_head(head)
        status = int(first.split(" ")[1])
        if status < 200 or not self.open:
            return 0
        exchange = self.open[0]
        exchange.status, exchange.answered = status, dict(fields)
        if exchange.method == "HEAD" or status in (204, 304):
            return 0
        return self.length(exchange.answered, math.inf)

    @staticmethod
    def length(fields, unknown):
        """Bodies that end with the connection only are never seen to be whole."""
        if "transfer-encoding" in fields:
            return math.inf
        return int(fields.get("content-length", unknown))

    def ended(self):
        if self.open and self.open[0].status:
            self.open.pop(0).whole = True


async def carry(reader, writer, heads):
    try:
        while data := await reader.read(PIECE):
            heads.feed(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, OSError):
        writer.transport.abort()


class Witness:
    """Listens on a port of its own for one edge."""

    def __init__(self, origin_port):
        self.origin_port = origin_port
        self.exchanges = []
        self.lines = set()
        self.server = None
        self.port = None

    async def start(self):
        self.server = await asyncio.start_server(self.meet, "127.0.0.1", 0, backlog=1024)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def meet(self, reader, writer):
        try:
            onward = await asyncio.open_connection("127.0.0.1", self.origin_port)
        except OSError:
            writer.transport.abort()
            return
        line = Line(self.exchanges)
        # Held, or it might be dropped while it waits.
        self.lines.add(asyncio.current_task())
        try:
            await asyncio.gather(
                carry(reader, onward[1], line.requests), carry(onward[0], writer, line.answers)
            )
        except asyncio.CancelledError:
            pass  # the tests are over
        finally:
            self.lines.discard(asyncio.current_task())
            onward[1].close()
            writer.close()

    def seen(self, prefix):
        """What was asked below a path so far."""
        return [exchange for exchange in self.exchanges if exchange.target.startswith(prefix)]
