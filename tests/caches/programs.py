"""Starts programs and ends them, with all that they started, whatever happens."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time

# How much of what was seen is told, in letters.
LONGEST_SEEN = 600
# How long a program may take to end before it is killed, in seconds.
ENDING_S = 4


class Failed(Exception):
    """A proof that doesn't hold: what was expected, and what was seen."""


def need(holds, expected, seen):
    if not holds:
        raise Failed(f"expected {expected}; saw {str(seen)[:LONGEST_SEEN]}")


async def together(*work):
    """What all of it comes to; where one fails, the others end before it is told."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_listening(port):
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def find(*names):
    """The first of these programs that is there; also where only root's path leads."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    for name in names:
        if found := shutil.which(str(name), path=path):
            return found
    raise Failed(f"expected {' or '.join(map(str, names))} to be installed; run scripts/setup --test")


async def run(*command, given=b""):
    """What a short program answers to its input."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    answered, _ = await program.communicate(given)
    need(program.returncode == 0, f"{command[0]} to do", program.returncode)
    return answered


class Program:
    def __init__(self, name, arguments, log, env=None):
        self.name, self.log = name, log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    async def listens(self, port, patience=30):
        for _ in range(patience * 20):
            if is_listening(port):
                return
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        raise Failed(f"expected {self.name} to listen; it said: {self.said()}")

    def said(self):
        return self.log.read_text(errors="replace")[-2000:].strip()

    def signal(self, number):
        self.process.send_signal(number)

    async def ended(self, patience):
        """Its exit code, or `None` if it goes on for longer than `patience` seconds."""
        for _ in range(int(patience * 50)):
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.02)
        return self.process.poll()

    def ask_to_end(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Programs:
    """All that was started, in order; what they leave in temporary folders is in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, name, arguments, log, env=None):
        program = Program(name, arguments, log, {"TMPDIR": str(self.folder), **(env or {})})
        self.started.append(program)
        return program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """First asked, so that each ends what it started itself; then killed."""
        for program in self.started:
            program.ask_to_end()
        end = time.monotonic() + ENDING_S
        while time.monotonic() < end and any(program.process.poll() is None for program in self.started):
            time.sleep(0.02)
        for program in reversed(self.started):
            program.kill()
