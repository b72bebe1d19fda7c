"""No trick leaves a wrong answer in a cache.

Every trick comes first at a cold object: once through the edge, once past it to the origin, whose own
memory may be poisoned as well. Each time it is asked of one object of every kind, of an asset that
nothing was asked of yet. Then a plain GET through the edge must get what a cold, honest one gets.
"""

import asyncio
import re
import time

from client import Client, ask, send_raw
from origin import is_text, type_of
from programs import need, together
from tricks import EVIL, TRICKS

# Of the connection and of the edge itself.
OWN_FIELDS = {"date", "age", "via", "x-cache", "x-varnish", "connection", "keep-alive", "server", "transfer-encoding"}
# Tricks at a time: each has its own objects.
AT_ONCE = 8
# Beside what a 404 says of itself: the origin's own memory of it, and a moment more.
FORGETTING_S = 1.3
LONGEST_404_S = 10


def shown(answer, name):
    """The header fields that mean something to a client, whatever the asset is called."""
    fields = {key: answer.get(key).replace(name, "ASSET") for key, _ in answer.fields}
    return {key: value for key, value in fields.items() if key not in OWN_FIELDS}


def without_coding(fields):
    """The fields that stay when an edge undoes a coding: it has another tag then, and no length."""
    return {key: value for key, value in fields.items() if key not in ("etag", "content-length")}


class Poisoning:
    def __init__(self, edge, origin, title):
        self.edge, self.origin, self.title = edge, origin, title
        self.paths = title.sample()
        self.honest = {}
        self.gate = asyncio.Semaphore(AT_ONCE)
        self.answers = 0
        self.began = time.monotonic()

    async def learn(self):
        """What an honest client gets of the origin itself."""
        client = Client(self.origin.port)
        for path in self.paths:
            answer = await client.ask(path, [("Host", "cdn.example")])
            need(answer and answer.body == self.title.bodies[path], f"the stored bytes of {path}", answer)
            fields = shown(answer, self.title.name)
            need(fields.get("content-type") == type_of(path), f"the type of {path}", fields)
            need(fields.get("access-control-allow-origin") == "*", f"CORS for everybody of {path}", fields)
            self.honest[self.title.relative(path)] = fields
        client.close()

    async def check(self, title, trick, paths=None):
        """Every object of `title`, or those of `paths`, is as an honest client would get it."""
        client = Client(self.edge.port)
        for path in paths or title.bodies:
            body = title.bodies[path]
            what = f"after `{trick}` a plain GET of {path} to get"
            answer = await client.ask(path, [("Host", "cdn.example")])
            need(answer and answer.whole, f"{what} an answer", answer)
            need(answer.status == 200, f"{what} 200", f"{answer.status} {answer.fields}")
            need(answer.body == body, f"{what} the stored {len(body)} bytes", f"{len(answer.body)}: {answer.body[:80]}")
            need(EVIL.encode() not in answer.body, f"{what} no foreign name", answer.body[:400])
            fields, honest = shown(answer, title.name), self.honest[title.relative(path)]
            if self.edge.name == "varnish" and is_text(path) and "etag" in fields:
                fields, honest = without_coding(fields), without_coding(honest)
            need(fields == honest, f"{what} {honest}", fields)
            self.answers += 1
        client.close()

    async def try_out(self, trick, port, way):
        build = TRICKS[trick]
        name = f"{way}-{self.edge.name}-{re.sub('[^a-z0-9]+', '-', trick.lower())}"
        async with self.gate:
            title = self.title.copy(name, self.paths)
            for path in title.bodies:
                await send_raw(port, build(path))
            await self.check(title, f"{trick}, {way}")

    async def before_it_exists(self):
        """A 404 in a cache is in the way for as long as it says, which isn't long."""
        name, lifetimes = f"early-{self.edge.name}", {}
        for path in self.paths:
            early = path.replace(self.title.prefix, f"/v/{name}/")
            answer = await ask(self.edge.port, early)
            need(answer and answer.status == 404, f"404 of {early}, which isn't there yet", answer)
            lifetimes[early] = int(re.search(r"max-age=(\d+)", answer.get("cache-control"))[1])
        title = self.title.copy(name, self.paths)
        for lifetime in sorted(set(lifetimes.values())):
            need(lifetime <= LONGEST_404_S, f"a 404 that lasts {LONGEST_404_S} s at most", lifetimes)
            due = [path for path in lifetimes if lifetimes[path] == lifetime]
            await asyncio.sleep(max(0, self.began + lifetime + FORGETTING_S - time.monotonic()))
            await self.check(title, f"a 404 for {lifetime} s", due)

    async def prove(self):
        await self.learn()
        ways = {"through": self.edge.port, "past": self.origin.port}
        tries = [self.try_out(trick, port, way) for trick in TRICKS for way, port in ways.items()]
        await together(self.before_it_exists(), *tries)
        return (
            f"{len(TRICKS)} tricks through the edge and past it, {len(self.paths)} kinds of objects, "
            f"cold each time: {self.answers} plain answers afterwards, all right"
        )


async def prove_no_poison(edge, origin, title):
    return await Poisoning(edge, origin, title).prove()
