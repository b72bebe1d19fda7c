"""An audience of 200 players behind a cold edge, and 60 that want one segment at the same instant.

Each player does what players do: the multivariant playlist or the MPD, a rung, its playlist and that of
its sound, their init segments, all segments in order; some change the rung, some seek, and most watch
a part again. What is random follows from a fixed seed.

That an object is fetched once is the best there is, and bounds the hit ratio: a ladder of three rungs
and two sounds has five tracks, of which a player reads two.
"""

import asyncio
import random
from collections import Counter

from client import Client
from origin import is_text, type_of
from programs import find, need, run, together

PLAYERS = 200
CROWD = 60
RATIO = 0.99
CODINGS = ["gzip, deflate, br", "gzip, deflate, br", "gzip, deflate, br, zstd", "gzip", "identity", None]

UNDO_BROTLI = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))"


class Player:
    def __init__(self, number, edge, title):
        self.chance = random.Random(f"player {number}")
        self.client = Client(edge.port)
        self.title = title
        self.coding = self.chance.choice(CODINGS)
        self.begun = set()
        self.asked = Counter()
        self.brotli = set()

    async def get(self, path):
        fields = [("User-Agent", "player"), ("Origin", "https://site.example")]
        if self.coding:
            fields.append(("Accept-Encoding", self.coding))
        answer = await self.client.ask(path, fields)
        self.asked[path] += 1
        need(answer and answer.status == 200 and answer.whole, f"200 and all of {path}", answer and vars(answer))
        coding = answer.get("content-encoding")
        need(not coding or is_text(path), f"{path} without a coding", coding)
        if coding == "br":
            self.brotli.add((path, answer.body))
        else:
            need(answer.plain() == self.title.bodies[path], f"the stored bytes of {path}", f"{len(answer.body)} others")
        need(answer.get("content-type") == type_of(path), f"the type of {path}", answer.get("content-type"))

    async def begin(self, playlist):
        """A track's playlist and init segment, the first time; the segments of it."""
        init, segments = self.title.listed(playlist)
        if playlist not in self.begun:
            self.begun.add(playlist)
            await self.get(playlist)
            await self.get(init)
        return segments

    async def watch(self, position, end):
        variant = self.chance.choice(self.title.variants())
        while position < end:
            if self.chance.random() < 0.08:
                variant = self.chance.choice(self.title.variants())
            for playlist in variant:
                segments = await self.begin(playlist)
                await self.get(segments[position])
            position += 1
            if self.chance.random() < 0.03:
                position += self.chance.randint(1, 3)

    async def play(self):
        await asyncio.sleep(self.chance.random())
        try:
            await self.get(self.title.entry(self.chance.choice(["index.m3u8", "index.m3u8", "manifest.mpd"])))
            count = len(self.title.listed(self.title.variants()[0][0])[1])
            await self.watch(0, count)
            if self.chance.random() < 0.9:
                await self.watch(self.chance.randint(0, count // 2), count)
        finally:
            self.client.close()
        return self.asked


async def check_brotli(title, answers):
    """Undone by Node, since Python doesn't know this coding."""
    for path, body in answers:
        plain = await run(find("node"), "-e", UNDO_BROTLI, given=body)
        need(plain == title.bodies[path], f"the stored bytes of {path} in brotli", plain[:200])


def fetched_once(edge, title, asked):
    """Fails where the origin was asked twice for one object; texts in different codings are different
    ones. The number of fetches of segments, and of the rest."""
    exchanges = edge.witness.seen(title.prefix)
    odd = [exchange for exchange in exchanges if exchange.status != 200 or not exchange.whole]
    need(not odd, "whole answers from the origin", odd[:1])
    fetches = Counter((exchange.target, exchange.asked.get("accept-encoding", "")) for exchange in exchanges)
    if edge.name == "varnish":  # it takes one coding for all and undoes it itself
        fetches = Counter(exchange.target for exchange in exchanges)
    again = {key: count for key, count in fetches.items() if count != 1}
    need(not again, "one origin fetch for each object", again)
    fetched = {exchange.target for exchange in exchanges}
    need(fetched == set(asked), "an origin fetch for each object asked for", fetched ^ set(asked))
    segments = sum(exchange.target.endswith(".m4s") for exchange in exchanges)
    return segments, len(exchanges) - segments


async def prove_audience(edge, title):
    players = [Player(number, edge, title) for number in range(PLAYERS)]
    asked = sum(await together(*(player.play() for player in players)), Counter())
    need(set(title.segments()) <= set(asked), "every segment asked for", set(title.segments()) - set(asked))
    await check_brotli(title, set.union(*(player.brotli for player in players)))
    segments, others = fetched_once(edge, title, asked)
    wanted = sum(count for path, count in asked.items() if path.endswith(".m4s"))
    ratio = 1 - segments / wanted
    need(ratio >= RATIO, f"a hit ratio of {RATIO:.0%} or more", f"{ratio:.2%}, {segments} of {wanted} fetched")
    return (
        f"{PLAYERS} players, {sum(asked.values())} requests, {wanted} for {segments} segments: hit ratio {ratio:.2%}, "
        f"each fetched once; {others} fetches of {sum(not path.endswith('.m4s') for path in asked)} other objects; "
        "all bytes as stored"
    )


async def prove_collapsing(edge, title, path):
    clients = [Client(edge.port) for _ in range(CROWD)]
    await together(*(client.connect() for client in clients))
    answers = await together(*(client.ask(path) for client in clients))
    for client in clients:
        client.close()
    right = sum(bool(answer) and answer.status == 200 and answer.body == title.bodies[path] for answer in answers)
    need(right == CROWD, f"{CROWD} right answers", [answer and answer.status for answer in answers])
    fetches = edge.witness.seen(path)
    need(len(fetches) == 1, "one origin fetch", fetches)
    return f"{CROWD} at once for a cold segment: 1 origin fetch, {CROWD} whole answers"
