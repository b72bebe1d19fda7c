"""What happens to an entry point when its minute is up, and while the origin is away.

Nothing is purged and no clock is moved: the objects are asked for at the beginning, other proofs fill
the time, and then they are old.
"""

import asyncio
import hashlib
import signal
import time

from client import Client, ask
from edges import PATIENCE_S
from origin import is_entry
from programs import need, together

# What entry points say they are good for, and a moment more.
MINUTE_S = 61.5
# An edge that waits for a silent origin, and tries it twice.
SLOW_S = 2 * PATIENCE_S + 2
# Until an edge that answers with something stale first has fetched what is new.
BACKGROUND_S = 5

CAPTIONS = "WEBVTT\n\n00:01.000 --> 00:04.000\nAdded later\n"


class Warm:
    """Entry points that edges were asked for, and when."""

    def __init__(self, edges):
        self.edges, self.warmed = edges, time.monotonic()

    async def fill(self, *titles):
        for edge in self.edges:
            client = Client(edge.port)
            for title in titles:
                for path in title.bodies:
                    answer = await client.ask(path)
                    need(answer and answer.body == title.bodies[path], f"the bytes of {path}", answer)
            client.close()
        self.warmed = time.monotonic()

    async def grow_old(self):
        await asyncio.sleep(max(0, self.warmed + MINUTE_S - time.monotonic()))


async def settles(edge, path, right):
    """Asks until an answer is `right`: an edge may hand out what it has while it asks."""
    end = time.monotonic() + BACKGROUND_S
    while True:
        answer = await ask(edge.port, path)
        if answer and right(answer) or time.monotonic() > end:
            return answer
        await asyncio.sleep(0.1)


async def prove_revalidation(edge, title):
    """Old entry points are asked for with their tag, 304 is enough, and segments aren't asked for."""
    before = len(edge.witness.seen(title.prefix))
    client = Client(edge.port)
    entries = [path for path in title.bodies if is_entry(path)]
    for _ in range(2):
        for path, body in title.bodies.items():
            answer = await client.ask(path)
            need(answer and (answer.status, answer.body) == (200, body), f"the bytes of {path}", answer)
        await asyncio.sleep(0.3)
    client.close()
    asked = edge.witness.seen(title.prefix)[before:]
    seen = sorted((exchange.target, exchange.status) for exchange in asked)
    need(seen == sorted((path, 304) for path in entries), f"one 304 for each of {entries}", seen)
    untagged = [exchange for exchange in asked if "if-none-match" not in exchange.asked]
    need(not untagged, "If-None-Match in each", untagged)
    for exchange in asked:
        need("max-age=60" in exchange.answered.get("cache-control", ""), "its lifetime in a 304", exchange.answered)
    return f"{len(entries)} entry points a minute old: asked for with their tags, {len(asked)} times 304; nothing else asked"


class Versions:
    """Which bytes were seen under which tag, of each path and coding."""

    def __init__(self):
        self.bodies, self.count = {}, 0

    def note(self, path, answer):
        tag = (path, answer.get("content-encoding"), answer.get("etag"))
        digest = hashlib.sha256(answer.body).hexdigest()
        known = self.bodies.setdefault(tag, digest)
        need(known == digest, f"the same bytes under the tag {tag} always", "others")
        self.count += 1

    def of(self, path):
        return {tag for known, _, tag in self.bodies if known == path}


class Replacing:
    """An entry point that is replaced: captions are added while it is read."""

    def __init__(self, edges, origin, asset):
        self.edges, self.origin = edges, origin
        self.paths = [f"/v/{asset}/index.m3u8", f"/v/{asset}/manifest.mpd"]
        self.asset = asset
        self.versions = Versions()
        self.new = {}

    async def read(self, port, stop):
        client = Client(port)
        while not stop.is_set():
            for path in self.paths:
                for coding in ("gzip", "identity"):
                    answer = await client.ask(path, [("Accept-Encoding", coding)])
                    need(answer and answer.status == 200, f"200 of {path} while it is replaced", answer)
                    self.versions.note(path, answer)
            await asyncio.sleep(0.02)
        client.close()

    async def replace(self):
        stop = asyncio.Event()
        ports = [self.origin.port, *(edge.port for edge in self.edges)]
        readers = [asyncio.create_task(self.read(port, stop)) for port in ports]
        await asyncio.sleep(0.3)
        await self.origin.add_captions(self.asset, CAPTIONS)
        for path in self.paths:
            answer = await ask(self.origin.port, path)
            need(b"English" in answer.body, f"the captions in {path} at the origin", answer.body)
            self.new[path] = answer
        await asyncio.sleep(0.3)
        stop.set()
        await together(*readers)

    async def prove(self, edge):
        """Once old, the edge gets the new one, whole, with its own tag."""
        before = len(edge.witness.seen(self.paths[0].rsplit("/", 1)[0]))
        for path in self.paths:
            new = self.new[path]
            answer = await settles(edge, path, lambda answer: answer.body == new.body)
            need(answer.body == new.body, f"the new {path} through the edge", answer.body[:300])
            self.versions.note(path, answer)
            if answer.get("etag") and not answer.get("etag").startswith("W/"):
                need(answer.get("etag") == new.get("etag"), f"the tag {new.get('etag')}", answer.get("etag"))
        asked = edge.witness.seen(self.paths[0].rsplit("/", 1)[0])[before:]
        statuses = [exchange.status for exchange in asked if exchange.is_conditional]
        need(statuses and set(statuses) == {200}, "200 to each If-None-Match", asked)
        return (
            f"captions added: {len(statuses)} times 200 with a new tag to If-None-Match; "
            f"{self.versions.count} reads meanwhile, no old body under a new tag"
        )


async def prove_stale(edge, origin, title, path, how):
    """What is cached is served while the origin is away, old entry points too."""
    began = time.monotonic()
    for wanted in (path, title.segments()[0], path):
        answer = await ask(edge.port, wanted, patience=SLOW_S)
        seen = answer and (answer.status, len(answer.body))
        need(seen == (200, len(title.bodies[wanted])), f"{wanted} from the cache, the origin {how}", seen)
        need(answer.body == title.bodies[wanted], f"the stored bytes of {wanted}", "others")
    seconds = time.monotonic() - began
    return f"origin {how}: the old {title.relative(path)} and its segments from the cache, {seconds:.1f} s"


async def prove_cold_fails(edge, title):
    path = title.segments()[0]
    began = time.monotonic()
    answer = await ask(edge.port, path, patience=SLOW_S)
    status = answer and answer.status
    need(status in (502, 503, 504), "502, 503 or 504 of a cold object", status)
    return f"a cold segment is {status} after {time.monotonic() - began:.1f} s"


async def prove_recovered(edge, title, path, cold):
    """The origin is back: what failed is there at once, and what was stale is asked for anew."""
    wanted = cold.segments()[0]
    answer = await ask(edge.port, wanted)
    need(answer and (answer.status, answer.body) == (200, cold.bodies[wanted]), f"{wanted} at once", answer)
    before = len(edge.witness.seen(path))
    answer = await settles(edge, path, lambda _: len(edge.witness.seen(path)) > before)
    need(answer and answer.status == 200, f"200 of {path}", answer)
    await asyncio.sleep(0.2)
    last = edge.witness.seen(path)[-1:]
    need([exchange.status for exchange in last] == [304], f"a 304 for the old {path}", last)
    return "once it is back: the cold segment 200 at once, the old entry point asked for with its tag, 304"


async def away(edges, origin, title, path, cold, how):
    """All of it while the origin is `stopped` or `killed`, at all edges."""
    if how == "stopped":
        origin.running.signal(signal.SIGSTOP)
    else:
        origin.kill()
    try:
        stale = await together(*(prove_stale(edge, origin, title, path, how) for edge in edges))
        failed = await together(*(prove_cold_fails(edge, cold) for edge in edges))
    finally:
        if how == "stopped":
            origin.running.signal(signal.SIGCONT)
    if how == "killed":
        await origin.start()
    back = [await prove_recovered(edge, title, path, cold) for edge in edges]
    return [(edge, "; ".join(lines)) for edge, *lines in zip(edges, stale, failed, back)]
