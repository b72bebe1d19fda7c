"""An S3 server (moto's) that counts what it is asked, with one bucket that keeps every version."""

import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

from machines import Skipped
from need import until

ADDRESS = "10.77.0.3"
PORT = 54322
NAME = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "Content-Type": "application/xml",
}
ROOT = Path(__file__).resolve().parent.parent.parent


def program():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    installed = target / "aws-tools/bin/moto_server"
    found = installed if installed.is_file() else shutil.which("moto_server")
    if not found:
        raise Skipped("moto_server isn't installed; run scripts/setup --test")
    return str(found)


class Bucket:
    url = "s3://vid/prod"
    env = {
        "AWS_ENDPOINT": f"http://{ADDRESS}:{PORT}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }

    def __init__(self, folder):
        self.log = folder / "moto.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program(), "-H", ADDRESS, "-p", str(PORT)], stdout=log, stderr=log
            )
        until(lambda: self.ask("PUT", "/vid") is not None, 60, "moto to answer")
        versioned = (
            b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            b"<Status>Enabled</Status></VersioningConfiguration>"
        )
        self.ask("PUT", "/vid?versioning", versioned)

    def ask(self, method, path, body=None):
        url = f"http://{ADDRESS}:{PORT}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=NAME)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def versions(self, prefix):
        """How many versions there ever were of each key, removals not counted."""
        counts, marker = {}, ""
        while True:
            listed = self.ask("GET", f"/vid?versions&max-keys=1000&prefix=prod/{prefix}{marker}")
            tree = ElementTree.fromstring(re.sub(rb'xmlns="[^"]*"', b"", listed))
            for version in tree.iter("Version"):
                key = version.findtext("Key").removeprefix("prod/")
                counts[key] = counts.get(key, 0) + 1
            if tree.findtext("IsTruncated") != "true":
                return counts
            marker = (
                f"&key-marker={tree.findtext('NextKeyMarker')}"
                f"&version-id-marker={tree.findtext('NextVersionIdMarker')}"
            )

    def keys(self, prefix):
        """What is there now."""
        keys, token = [], ""
        while True:
            listed = self.ask("GET", f"/vid?list-type=2&prefix=prod/{prefix}{token}")
            tree = ElementTree.fromstring(re.sub(rb'xmlns="[^"]*"', b"", listed))
            keys += [key.text.removeprefix("prod/") for key in tree.iter("Key")]
            if tree.findtext("IsTruncated") != "true":
                return keys
            token = f"&continuation-token={tree.findtext('NextContinuationToken')}"

    def requests(self):
        """How often each method was asked for so far."""
        counts = {}
        for method in re.findall(r'"([A-Z]+) /', self.log.read_text(errors="replace")):
            counts[method] = counts.get(method, 0) + 1
        return counts

    def close(self):
        self.process.kill()
        self.process.wait()
