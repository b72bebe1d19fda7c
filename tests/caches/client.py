"""An HTTP/1.1 client that hides nothing: it sends what it is told to, also what is wrong, and an answer
that ends too early is handed over as such. Nothing is decoded, followed or repeated behind the
caller's back, but for a request that an idle connection was closed under."""

import asyncio
import gzip
from dataclasses import dataclass, field

PATIENCE_S = 40


@dataclass
class Answer:
    status: int
    fields: list = field(default_factory=list)
    body: bytes = b""
    # Whether all of the body came that was promised.
    whole: bool = True
    closed: bool = False

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def plain(self):
        """The body with gzip undone."""
        return gzip.decompress(self.body) if self.get("content-encoding") == "gzip" else self.body


def parse_head(head):
    """First line and fields of a head without its last empty line; names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return first, [(name.strip().lower(), value.strip()) for name, _, value in pairs]


async def read_chunks(reader, answer):
    while True:
        size = int((await reader.readuntil(b"\n")).split(b";")[0], 16)
        if size == 0:
            while (await reader.readuntil(b"\n")).strip():
                pass
            return
        answer.body += await reader.readexactly(size)
        await reader.readexactly(2)


async def read_body(reader, answer, method):
    if method == "HEAD" or answer.status in (204, 304):
        return
    length = answer.get("content-length")
    try:
        if answer.get("transfer-encoding") == "chunked":
            await read_chunks(reader, answer)
        elif length is not None:
            answer.body = await reader.readexactly(int(length))
        else:
            answer.body = await reader.read()
            answer.closed = True
    except asyncio.IncompleteReadError as short:
        answer.body += short.partial
        answer.whole = False
    except ConnectionError:
        answer.whole = False


async def read_answer(reader, method="GET"):
    """The next answer, or `None` where the connection ends before one begins."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, fields = parse_head(head[:-4])
        status = int(first.split(" ")[1])
        if status >= 200:
            break
    answer = Answer(status, fields)
    await read_body(reader, answer, method)
    answer.closed |= (answer.get("connection") or "").lower() == "close" or not answer.whole
    return answer


def head_of(method, target, fields, host):
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None and not any(name.lower() == "host" for name, _ in fields):
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Client:
    """One connection to a port of this machine, opened again when it was closed."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def exchange(self, sent, method):
        self.writer.write(sent)
        answer = await read_answer(self.reader, method)
        if answer is None or answer.closed:
            self.close()
        return answer

    async def ask(self, target, fields=(), method="GET", body=b"", patience=PATIENCE_S):
        """The answer, or `None` where the connection was refused or closed without one."""
        try:
            return await asyncio.wait_for(self.ask_once(target, fields, method, body), patience)
        except (asyncio.TimeoutError, asyncio.CancelledError):
            self.close()
            raise
        except ConnectionError:
            self.close()
            return None

    async def ask_once(self, target, fields, method, body):
        fields = list(fields)
        if body:
            fields.append(("Content-Length", len(body)))
        sent = head_of(method, target, fields, f"127.0.0.1:{self.port}") + body
        if self.writer:
            try:
                answer = await self.exchange(sent, method)
            except ConnectionError:
                answer = None
            if answer is not None:
                return answer
            self.close()
        await self.connect()
        return await self.exchange(sent, method)


async def ask(port, target, fields=(), method="GET", body=b"", patience=PATIENCE_S):
    """One request on a connection of its own."""
    client = Client(port)
    try:
        return await client.ask(target, fields, method, body, patience)
    finally:
        client.close()


async def send_raw(port, sent, patience=3):
    """Sends bytes as they are; the status answered, or `None` for a connection closed or left silent."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    except ConnectionError:
        return None
    method = sent.split(b" ", 1)[0].decode("latin-1")
    try:
        writer.write(sent)
        answer = await asyncio.wait_for(read_answer(reader, method), patience)
        return answer.status if answer else None
    except (asyncio.TimeoutError, ConnectionError, ValueError, IndexError):
        return None
    finally:
        writer.close()
