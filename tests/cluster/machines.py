"""Machines as network namespaces on one bridge, and what happens to them."""

import os
import shutil
import signal
import subprocess

from need import need

# A hardware address that nobody has: what is sent there is lost without a word.
NOWHERE = "02:00:00:00:00:99"


class Skipped(Exception):
    """Why it can't be proved here."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    need(done.returncode == 0, f"{' '.join(map(str, command))} to work", done.stderr)
    return done.stdout


class Network:
    """A bridge of its own. 10.77.0.1 is this side of it, and services have addresses beside it."""

    def __init__(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise Skipped("network namespaces need root and iproute2")
        self.name = f"hw{os.getpid()}"
        self.machines = []
        run("ip", "link", "add", self.name, "type", "bridge")
        for address in ("10.77.0.1", "10.77.0.2", "10.77.0.3"):
            run("ip", "address", "add", f"{address}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")

    def close(self):
        for machine in self.machines:
            machine.close()
        subprocess.run(["ip", "link", "delete", self.name])


class Machine:
    """A network namespace with one program in it."""

    def __init__(self, network, name, number, folder, env):
        self.network, self.name, self.env = network, name, env
        self.space = f"{network.name}{name}"
        self.address = f"10.77.0.{number}"
        self.folder = folder / name
        self.folder.mkdir()
        self.log = folder / f"{name}.log"
        self.process = None
        outside = f"{network.name}v{number}"
        run("ip", "netns", "add", self.space)
        network.machines.append(self)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        run("ip", "link", "set", outside, "master", network.name, "up")
        self.ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        run("ip", "-n", self.space, *arguments)

    def start(self, *command):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, *map(str, command)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def terminate(self, patience_s):
        """Its exit code, once it was told to stop."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)

    def cut_off(self, address):
        """From now on what it sends to `address` is lost."""
        self.ip("neighbour", "replace", address, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")

    def connect(self, address):
        self.ip("neighbour", "delete", address, "dev", "eth0")

    def cpu_seconds(self):
        """Processor time of the program and of those of its children that have ended."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        subprocess.run(["ip", "netns", "delete", self.space])
