"""`headwater serve` as the tests use it: started, filled, stopped, and what it has stored."""

import asyncio
import json
import os
import re
import shutil
import signal
import time
import urllib.parse
from pathlib import Path

from client import ask
from programs import Failed, free_port, need

ROOT = Path(__file__).resolve().parent.parent.parent
TALK = ROOT / "fixtures/talk.mp4"

UPLOAD_PATIENCE_S = 120


class Origin:
    def __init__(self, program, programs, folder, flags=(), env=None):
        self.program, self.programs = program, programs
        self.folder = folder
        self.flags, self.env = list(flags), env
        # What a CDN would be told to pull from, and the API beside it; the same after a restart.
        self.port, self.api = free_port(), free_port()
        self.running = None

    async def start(self):
        self.folder.mkdir(exist_ok=True)
        command = [self.program, "serve", "--data", self.folder, "--listen", f"127.0.0.1:{self.api}"]
        command += ["--delivery-listen", f"127.0.0.1:{self.port}", *self.flags]
        log = self.folder.parent / f"{self.folder.name}.log"
        self.running = self.programs.start("headwater", command, log=log, env=self.env)
        await self.running.listens(self.port)
        return self

    def kill(self):
        self.running.kill()

    async def stop(self, patience=40):
        self.running.signal(signal.SIGTERM)
        code = await self.running.ended(patience)
        need(code == 0, "headwater to end by itself after SIGTERM", f"exit code {code}")

    async def call(self, method, path, body=b""):
        answer = await ask(self.api, path, method=method, body=body)
        need(answer and answer.status < 300, f"{method} {path} to do", answer and (answer.status, answer.body))
        return json.loads(answer.body) if answer.body else None

    async def upload(self, clip, policy):
        """The new asset's id, once it is complete."""
        query = urllib.parse.urlencode({"policy": json.dumps(policy), "title": clip.stem})
        made = await self.call("POST", f"/api/v1/assets?{query}", clip.read_bytes())
        end = time.monotonic() + UPLOAD_PATIENCE_S
        while time.monotonic() < end:
            asset = await self.call("GET", f"/api/v1/assets/{made['id']}")
            if asset["state"] == "complete":
                return made["id"]
            need(asset["state"] != "failed", "the clip to be taken", asset.get("error"))
            await asyncio.sleep(0.2)
        raise Failed(f"expected the asset to be complete within {UPLOAD_PATIENCE_S} s; saw {asset['state']}")

    async def add_captions(self, asset, text):
        await self.call("POST", f"/api/v1/assets/{asset}/text?lang=en&name=English", text.encode())


class Title:
    """What is stored of one asset in a directory, by its URL paths."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.prefix = f"/v/{name}/"
        root = folder / "v" / name
        files = [path for path in root.rglob("*") if path.is_file() and ".meta" not in path.parts]
        self.bodies = {f"{self.prefix}{path.relative_to(root)}": path.read_bytes() for path in files}
        self.bodies.pop(f"{self.prefix}presentation.json", None)

    def entry(self, name="index.m3u8"):
        return f"{self.prefix}{name}"

    def segments(self):
        """Those that are played; of I-frames nobody watches all."""
        return [path for path in self.bodies if path.endswith(".m4s") and "/trick" not in path]

    def variants(self):
        """Video and audio playlists that go together, as the HLS entry point has them."""
        text = self.bodies[self.entry()].decode()
        audio = dict(re.findall(r'TYPE=AUDIO,GROUP-ID="([^"]+)".*URI="([^"]+)"', text))
        pairs = re.findall(r'^#EXT-X-STREAM-INF:.*AUDIO="([^"]+)".*\n(\S+)$', text, re.MULTILINE)
        return [(self.prefix + video, self.prefix + audio[group]) for group, video in pairs]

    def listed(self, playlist):
        """The init segment and the segments of a media playlist."""
        text = self.bodies[playlist].decode()
        folder = playlist.rsplit("/", 1)[0]
        init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', text)[1]
        return f"{folder}/{init}", [f"{folder}/{uri}" for uri in re.findall(r"^([^#\s]\S*)$", text, re.MULTILINE)]

    def sample(self):
        """One object of each kind: entry points, a media playlist, an init segment, a segment."""
        playlist = self.variants()[0][0]
        init, segments = self.listed(playlist)
        return [self.entry(name) for name in ("index.m3u8", "manifest.mpd", "poster.jpg")] + [
            playlist, init, segments[0],
        ]

    def relative(self, path):
        return path.removeprefix(self.prefix)

    def copy(self, name, paths=None):
        """Another asset with the same objects, or those of them; nothing asked for it yet."""
        for path in paths or self.bodies:
            key = self.relative(path)
            for part in (key, f".meta/{key}.json"):
                there, here = self.folder / "v" / self.name / part, self.folder / "v" / name / part
                here.parent.mkdir(parents=True, exist_ok=True)
                if there.exists():
                    os.link(there, here)
        return Title(self.folder, name)


TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "jpg": "image/jpeg",
    "vtt": "text/vtt; charset=utf-8",
}


def type_of(path):
    """The media type that belongs to a URL path of ours."""
    folder, name = path.rsplit("/", 2)[-2:]
    if name.endswith((".mp4", ".m4s")):
        if folder.startswith("a-"):
            return "audio/mp4"
        return "video/mp4" if name == "init.mp4" else "video/iso.segment"
    return TYPES[name.rsplit(".", 1)[1]]


def is_entry(path):
    return path.count("/") == 3


def is_text(path):
    return path.endswith((".m3u8", ".mpd", ".vtt"))


async def make_clip(folder, programs, seconds=24):
    """A test picture with a sound, 360 lines high."""
    clip = folder / "clip.mp4"
    command = [shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-v", "error"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=24", "-f", "lavfi", "-i", "sine=frequency=330"]
    command += ["-t", seconds, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "35"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", clip]
    made = programs.start("ffmpeg", command, log=folder / "ffmpeg.log")
    need(await made.ended(60) == 0, "ffmpeg to make a clip", made.said())
    return clip
