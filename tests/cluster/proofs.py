"""What must hold of machines that share a store and a database."""

import http.client
import json
import re
import subprocess
import time
from urllib.parse import quote

import database
from bucket import Bucket
from database import Database
from machines import Machine, Network
from need import need, until

PORT = 8080
POLICY = {
    "rungs": [180, 90],
    "preset": "ultrafast",
    "passthrough": "never",
    "segment_seconds": 2,
    "gop_seconds": 2,
}
# Longer than a lease (15 s): what a machine that is away was doing is done by another.
AWAY_S = 20
PATIENCE_S = 150


class Server(Machine):
    """A server, and a client of it."""

    key = None

    def serve(self, cluster, workers):
        self.start(
            cluster.program, "serve", "--data", self.folder, "--listen", f"{self.address}:{PORT}",
            "--store", cluster.bucket.url, "--database", cluster.database.url, "--workers", workers,
        )
        until(lambda: "listening on" in self.said(), 30, f"{self.name} to listen: {self.said()}")
        if told := re.search(r"shown this once: (\S+)", self.said()):
            Server.key = told[1]

    def ask(self, method, path, body=None, kind="video/mp4"):
        connection = http.client.HTTPConnection(self.address, PORT, timeout=120)
        headers = {"Authorization": f"Bearer {Server.key}"}
        if body is not None:
            headers["Content-Type"] = kind
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, answer

    def upload(self, clip, policy):
        path = f"/api/v1/assets?policy={quote(json.dumps(policy))}"
        status, answer = self.ask("POST", path, clip.read_bytes())
        need(status == 201, "an asset", answer)
        return json.loads(answer)["id"]

    def asset(self, asset):
        status, answer = self.ask("GET", f"/api/v1/assets/{asset}")
        need(status == 200, "the asset", answer)
        return json.loads(answer)

    def wait_for(self, asset, *states, patience_s=PATIENCE_S):
        def arrived():
            seen = self.asset(asset)
            need(seen["state"] != "failed" or "failed" in states, "no failure", seen)
            return seen if seen["state"] in states else None

        return until(arrived, patience_s, f"{asset} to be {states}")


class Cluster:
    def __init__(self, program, folder, workers_at_start=3):
        self.program, self.folder = program, folder
        self.workers_at_start = workers_at_start
        self.parts = []

    def __enter__(self):
        try:
            return self.open()
        except BaseException:
            self.__exit__()
            raise

    def open(self):
        network = self.keep(Network())
        self.database = self.keep(Database())
        self.bucket = self.keep(Bucket(self.folder))
        env = Bucket.env
        self.workers = [Machine(network, f"w{n}", 10 + n, self.folder, env) for n in (1, 2, 3)]
        self.servers = [Server(network, f"s{n}", 20 + n, self.folder, env) for n in (1, 2)]
        for server in self.servers:
            server.serve(self, 0)
        for worker in self.workers[: self.workers_at_start]:
            self.work(worker)
        self.clip = self.make_clip("long", 60)
        self.short = self.make_clip("short", 4)
        return self

    def keep(self, part):
        self.parts.append(part)
        return part

    def __exit__(self, *_):
        for part in reversed(self.parts):
            part.close()

    def work(self, worker):
        before = worker.said().count("working") if worker.log.exists() else 0
        worker.start(
            self.program, "worker", "--store", self.bucket.url, "--database", self.database.url,
            "--data", worker.folder, "--workers", 1, "--metrics-listen", f"{worker.address}:{PORT}",
        )
        until(lambda: worker.said().count("working") > before, 30, f"{worker.name} to work")

    def make_clip(self, name, seconds):
        clip = self.folder / f"{name}.mp4"
        command = (
            f"ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=25 -f lavfi -i sine=440:sample_rate=48000 "
            f"-t {seconds} -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac {clip}"
        )
        subprocess.run(command.split(), check=True)
        return clip

    def verify(self, server, asset):
        url = f"http://{server.address}:{PORT}/v/{asset}/index.m3u8"
        done = subprocess.run([self.program, "verify", url], capture_output=True, text=True)
        need(done.returncode == 0, "all rules to hold", done.stdout + done.stderr)

    def written_once(self, asset, revision):
        """How many objects there are of a revision, each of which was written once."""
        versions = self.bucket.versions(f"v/{asset}/{revision}/")
        again = {key: count for key, count in versions.items() if count > 1}
        manifests = {key for key in again if key.rsplit("/", 1)[-1] in ("index.m3u8", "manifest.mpd")}
        segments = {key: count for key, count in again.items() if key not in manifests}
        need(not segments, "each object to be written once", segments)
        return len(versions)


def spread(cluster):
    """One title's chunks are done by all; a machine that is killed, stopped or cut off costs its task."""
    first, second = cluster.servers
    killed, stopped, cut = cluster.workers
    asset = first.upload(cluster.clip, POLICY)
    made = lambda: second.asset(asset)["progress"]["segments_done"]  # noqa: E731
    until(lambda: made() > 4, PATIENCE_S, "some segments")
    killed.kill()
    stopped.pause()
    cut.cut_off(database.ADDRESS)
    away_at = made()
    cluster.work(killed)
    time.sleep(AWAY_S)
    stopped.resume()
    cut.connect(database.ADDRESS)
    done = second.wait_for(asset, "complete")
    cluster.verify(second, asset)
    ended = until(lambda: cluster.database.count("task") == 0 or None, 60, "no task to be left")
    need(ended, "no task, queued, running or dead", cluster.database.ask("SELECT work FROM task"))
    told = cluster.database.count(
        f"event WHERE asset = '{asset}' AND name = 'state' AND data LIKE '%complete%'"
    )
    need(told == 1, "one event that tells completeness", told)
    revision = cluster.database.ask(f"SELECT revision FROM asset WHERE id = '{asset}'")[0]
    objects = cluster.written_once(asset, revision)
    idle = [worker.name for worker in cluster.workers if worker.cpu_seconds() < 0.5]
    need(not idle, "all workers to have worked", idle)
    total = done["progress"]["segments_total"]
    return f"{total} segments, {away_at} of them before one was killed, one stopped, one cut off; {objects} objects, each written once"


def demand(cluster):
    """A server is asked for a segment that nobody has made yet, of a source that another one took."""
    first, second = cluster.servers
    slow = {**POLICY, "preset": "slow", "crf": 20}
    asset = first.upload(cluster.clip, slow)
    first.wait_for(asset, "ready", "complete")
    revision = cluster.database.ask(f"SELECT revision FROM asset WHERE id = '{asset}'")[0]
    segment = f"v/{asset}/{revision}/v180/29.m4s"
    need(segment not in cluster.bucket.keys(f"v/{asset}/"), "a segment that isn't made yet", segment)
    began = time.monotonic()
    status, body = second.ask("GET", f"/{segment}")
    took = time.monotonic() - began
    need(status == 200 and body[4:8] in (b"styp", b"moof", b"sidx", b"prft", b"emsg"), "the segment", (status, body[:200]))
    need(took < 10, "it within the deadline", f"{took:.1f} s")
    second.wait_for(asset, "complete")
    cluster.verify(first, asset)
    return f"answered by the other server after {took:.2f} s"


def orderly(cluster):
    """A worker that is told to stop gives back what it was doing, and another goes on at once."""
    first, _ = cluster.servers
    ending = cluster.workers[0]
    asset = first.upload(cluster.clip, {**POLICY, "crf": 24})
    first.wait_for(asset, "ready", "complete")
    began = time.monotonic()
    code = ending.terminate(20)
    took = time.monotonic() - began
    need(code == 0, "an orderly end", (code, ending.said()[-500:]))
    holder = cluster.database.ask("SELECT crashes FROM task WHERE crashes > 0")
    need(not holder, "no task to count as lost", holder)
    first.wait_for(asset, "complete")
    cluster.work(ending)
    status, metrics = probe(ending, "/metrics")
    need(status == 200 and b"headwater_tasks_waiting" in metrics, "metrics of a worker", metrics[:300])
    need(probe(ending, "/readyz")[0] == 200, "a ready worker", probe(ending, "/readyz"))
    return f"ended after {took:.1f} s"


def probe(machine, path):
    connection = http.client.HTTPConnection(machine.address, PORT, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def removal(cluster):
    """Nothing is left of an asset that is removed through the server that didn't take it."""
    first, second = cluster.servers
    asset = first.upload(cluster.short, POLICY)
    first.wait_for(asset, "complete")
    sources = until(lambda: cluster.bucket.keys(f"src/{asset}/"), 30, "its source in the store")
    captions = b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n"
    status, answer = second.ask("POST", f"/api/v1/assets/{asset}/text?lang=en", captions, "text/vtt")
    need(status in (200, 201), "captions", answer)
    status, manifest = first.ask("GET", f"/v/{asset}/manifest.mpd")
    need(status == 200, "a manifest", manifest)
    need(second.ask("GET", f"/src/{asset}/source")[0] == 404, "no source to be delivered", sources)
    need(second.ask("GET", f"/v/../src/{asset}/source")[0] in (400, 404), "no source to be delivered", "it")
    status, answer = second.ask("DELETE", f"/api/v1/assets/{asset}")
    need(status in (200, 204), "a removal", answer)
    left = cluster.bucket.keys(f"src/{asset}/") + cluster.bucket.keys(f"v/{asset}/")
    need(not left, "nothing to be left in the store", left)
    here = first.folder / "src" / asset
    until(lambda: not here.exists(), 70, "no copy at the server that took it")
    return f"{len(sources)} source in the store, gone"


PROOFS = {"spread": spread, "demand": demand, "orderly": orderly, "removal": removal}
