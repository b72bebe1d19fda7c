"""The caches of others in front of the origin: Debian's nginx and Varnish."""

import os
import re
from pathlib import Path

from programs import find, free_port
from witness import Witness

HERE = Path(__file__).resolve().parent

# How long an edge waits for the origin's next byte, in seconds.
PATIENCE_S = 4


def filled_in(template, words):
    """A configuration with the words between at signs replaced."""
    return re.sub(r"@([A-Z]+)@", lambda found: str(words[found[1]]), (HERE / template).read_text())


def write_configuration(template, folder, **words):
    # Workers of an nginx that root starts would be nobody, who may not enter our folder.
    user = "user root;" if os.geteuid() == 0 else ""
    words = {"FOLDER": folder, "PATIENCE": PATIENCE_S, "USER": user, **words}
    file = folder / template
    file.write_text(filled_in(template, words))
    return file


def nginx(programs, folder, template, **words):
    """Starts nginx by one of our configurations: its port and itself."""
    folder.mkdir()
    port = free_port()
    file = write_configuration(template, folder, PORT=port, **words)
    command = [find("nginx"), "-p", folder, "-e", "stderr", "-c", file]
    return port, programs.start(folder.name, command, log=folder / "log")


def varnish(programs, folder, template, **words):
    """Starts Varnish by one of our configurations: its port and itself."""
    folder.mkdir()
    port = free_port()
    file = write_configuration(template, folder, **words)
    # No jail: it stays who we are. No grace but what headers give.
    command = [find("varnishd"), "-F", "-j", "none", "-T", "none", "-n", folder / "run", "-f", file]
    command += ["-a", f"127.0.0.1:{port}", "-s", "malloc,512m", "-p", "default_grace=0"]
    # However many small objects have to go for a big one: or it would be cut off.
    command += ["-p", "nuke_limit=100000"]
    return port, programs.start(folder.name, command, log=folder / "log")


class Edge:
    """A cache, its port, and the witness between it and the origin."""

    def __init__(self, name, witness, port, program):
        self.name, self.witness, self.port, self.program = name, witness, port, program

    @classmethod
    async def start(cls, name, programs, folder, origin_port):
        witness = await Witness(origin_port).start()
        start, template = {"nginx": (nginx, "edge.conf"), "varnish": (varnish, "edge.vcl")}[name]
        port, program = start(programs, folder / name, template, ORIGIN=witness.port)
        await program.listens(port)
        return cls(name, witness, port, program)
