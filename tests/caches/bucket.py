"""The bucket alone: what `headwater serve --store s3://..` filled is delivered by an S3 server, without
any program of ours, as our origin delivers it.

The S3 server is moto's. It keeps what it was given in memory and believes every signature.
"""

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from urllib.parse import urljoin

from client import Client, ask
from edges import Edge, nginx
from origin import ROOT, Origin, type_of
from programs import find, free_port, need

# Until the origin tries again what failed.
FORGETTING_S = 1.2
BUCKET = "vid"
NAME = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
POLICY = {"rungs": [240, 144], "preset": "ultrafast", "passthrough": "never", "segment_seconds": 4}
CAPTIONS = "WEBVTT\n\n00:01.000 --> 00:06.000\nStraight from the bucket\n"

# Where CloudFront looks for tags.
TAGS = "x-amz-meta-cache-tag"
# The same at both, for every object.
SAME = ["content-type", "cache-control", "content-length", "accept-ranges", "etag", "last-modified", TAGS]
# One of each kind is asked for in these ways; the same status and the same part of the bytes.
WAYS = [
    ("GET", [("Range", "bytes=0-9")]),
    ("GET", [("Range", "bytes=5-")]),
    ("GET", [("Range", "bytes=-7")]),
    ("GET", [("Range", "bytes=99999999-")]),
    ("HEAD", []),
]


def environment(port):
    return {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


async def start_s3(programs, folder):
    port = free_port()
    moto = find(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "aws-tools/bin/moto_server", "moto_server")
    server = programs.start("moto_server", [moto, "-p", port], log=folder / "moto.log")
    await server.listens(port)
    made = await ask(port, f"/{BUCKET}", [("Content-Length", "0"), ("Authorization", NAME)], method="PUT")
    need(made and made.status == 200, "a bucket", made)
    return port, server


async def prove_store_away(edges, origin, s3, asset):
    """What the origin can't read is 503, which no edge keeps; what it holds it goes on serving."""
    held = f"/v/{asset}/index.m3u8"
    playlist = (await ask(origin.port, held)).body.decode()
    folder = urljoin(held, re.search(r"^(\S+)/index.m3u8$", playlist, re.MULTILINE)[1])
    s3.signal(signal.SIGSTOP)
    try:
        for number, edge in enumerate(edges, 1):
            began = time.monotonic()
            answer = await ask(edge.port, f"{folder}/{number}.m4s")
            told = answer and (answer.status, answer.get("cache-control"), bool(answer.get("retry-after")))
            need(told == (503, "no-store", True), "503, no-store and Retry-After, the store away", told)
            seconds = time.monotonic() - began
            need(seconds < 3, "an answer in under 3 s, the store away", f"{seconds:.1f} s")
        answer = await ask(origin.port, held)
        need(answer and answer.status == 200, f"{held}, which is held, the store away", answer)
    finally:
        s3.signal(signal.SIGCONT)
    await asyncio.sleep(FORGETTING_S)
    for number, edge in enumerate(edges, 1):
        answer = await ask(edge.port, f"{folder}/{number}.m4s")
        need(answer and answer.status == 200, "200 once the store is back", answer)
    return f"store away: a cold segment is 503, no-store, after {seconds:.1f} s; once it is back 200 through both edges"


async def fetch_all(port, asset):
    """Everything that is reached from the entry points: answers by path."""
    base = f"/v/{asset}/"
    client, answers = Client(port), {}
    wanted = [base + name for name in ("index.m3u8", "manifest.mpd", "poster.jpg")]
    while wanted:
        path = wanted.pop()
        if path in answers:
            continue
        answer = answers[path] = await client.ask(path)
        need(answer and answer.status == 200 and answer.whole, f"200 and all of {path}", answer)
        text = answer.body.decode() if path.endswith((".m3u8", ".mpd")) else ""
        found = re.findall(r'URI="([^"]+)"', text) + re.findall(r"^([^#<\s]\S*)$", text, re.MULTILINE)
        found += re.findall(r"<BaseURL>([^<]+\.vtt)</BaseURL>", text)
        wanted += [urljoin(path, uri) for uri in found]
    client.close()
    return answers


def is_strong(tag):
    return re.fullmatch(r'"[^"]+"', tag or "") is not None


def compare(path, asset, ours, theirs):
    """One object as our origin and as the bucket tell of it."""
    need(theirs.body == ours.body, f"the same bytes of {path}", f"{len(theirs.body)} and {len(ours.body)}")
    for name in SAME:
        need(theirs.get(name) == ours.get(name), f"{name}: {ours.get(name)} for {path}", theirs.get(name))
    need(theirs.get("content-type") == type_of(path), f"{type_of(path)} for {path}", theirs.get("content-type"))
    need(is_strong(theirs.get("etag")), f"a strong ETag of {path}", theirs.get("etag"))
    tags = (theirs.get(TAGS) or "").split(",")
    need(f"asset:{asset}" in tags, f"asset:{asset} among the cache tags of {path}", tags)
    revision = re.search(r"/([0-9a-f]{32})/", path)
    if revision:
        need(f"build:{revision[1]}" in tags, f"build:{revision[1]} among the cache tags of {path}", tags)


def one_of_each(paths):
    kinds = {}
    for path in sorted(paths):
        kinds.setdefault((path.count("/"), type_of(path)), path)
    return sorted(kinds.values())


async def answers_to_ways(port, paths):
    """Status, part and length of each way in which one of each kind is asked for, and of conditions."""
    client, seen = Client(port), {}
    for path in paths:
        for method, fields in WAYS:
            answer = await client.ask(path, fields, method)
            told = (answer.get("content-range"), answer.get("content-length"), answer.body)
            # A refusal is put in words of one's own.
            seen[path, method, str(fields)] = answer.status, told if answer.status < 400 else None
        tag = (await client.ask(path)).get("etag")
        # moto knows no If-Range.
        for name in ("If-None-Match", "If-Match"):
            for value in (tag, '"other"'):
                answer = await client.ask(path, [(name, value)])
                seen[path, name, value == tag] = answer.status
                if answer.status == 304:
                    need(answer.get("etag") == tag and not answer.body, f"the tag in the 304 of {path}", answer.fields)
    gone = await client.ask(paths[0].rsplit("/", 1)[0] + "/" + "0" * 32 + "/v240/1.m4s")
    seen["missing"] = gone.status
    client.close()
    return seen


def differing(ours, theirs):
    return {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}


async def verify(program, programs, folder, url):
    checked = programs.start("verify", [program, "verify", url], log=folder / "verify.log")
    need(await checked.ended(60) == 0, f"every rule kept at {url}", checked.said())


async def play(programs, folder, url):
    """In Chromium, by hls.js and Shaka Player over HLS, and by Shaka Player over DASH."""
    command = [find("node"), ROOT / "tests/players/run.mjs", url, "--only", "hls.js,shaka"]
    played = programs.start("players", command, log=folder / "players.log")
    need(await played.ended(150) == 0, f"{url} to play", played.said())
    return len(re.findall(r"^(?:hls|dash) +\S+ +ok ", played.log.read_text(), re.MULTILINE))


async def prove_bucket(program, programs, folder, clip, tell):
    folder.mkdir()
    s3, server = await start_s3(programs, folder)
    origin = Origin(program, programs, folder / "data", ["--store", f"s3://{BUCKET}"], environment(s3))
    await origin.start()
    asset = await origin.upload(clip, POLICY)
    await origin.add_captions(asset, CAPTIONS)
    edges = [await Edge.start(name, programs, folder, origin.port) for name in ("nginx", "varnish")]
    tell(await prove_store_away(edges, origin, server, asset))
    ours = await fetch_all(origin.port, asset)
    ours_ways = await answers_to_ways(origin.port, one_of_each(ours))
    await origin.stop()

    port, edge = nginx(programs, folder / "bucket-edge", "bucket.conf", ORIGIN=s3, BUCKET=BUCKET)
    await edge.listens(port)
    theirs = await fetch_all(port, asset)
    need(set(theirs) == set(ours), "the same URLs", set(theirs) ^ set(ours))
    for path, answer in theirs.items():
        compare(path, asset, ours[path], answer)
    theirs_ways = await answers_to_ways(port, one_of_each(theirs))
    need(theirs_ways == ours_ways, "the same answers to ranges and conditions", differing(ours_ways, theirs_ways))
    base = f"http://127.0.0.1:{port}/v/{asset}/"
    await verify(program, programs, folder, f"{base}index.m3u8")
    played = await play(programs, folder, base)
    need(played == 3, "three plays", played)
    tell(
        f"{len(theirs)} objects from the S3 server alone: bytes, {', '.join(SAME)} as at the origin; "
        f"{len(theirs_ways)} ranges and conditions alike; every rule kept; "
        f"played in Chromium by hls.js and Shaka, {played} times"
    )
