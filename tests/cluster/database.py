"""PostgreSQL, at an address of the network's."""

import subprocess
from pathlib import Path

from machines import Skipped

ROOT = Path(__file__).resolve().parent.parent.parent
ADDRESS = "10.77.0.2"
PORT = 54321


class Database:
    def __init__(self):
        self.process = subprocess.Popen(
            [ROOT / "scripts/postgres", str(PORT), ADDRESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise Skipped("PostgreSQL isn't installed; run scripts/setup --test")

    def ask(self, statement):
        """What the first column of each row has."""
        asked = subprocess.run(
            ["psql", self.url, "-tA", "-c", statement], capture_output=True, text=True, check=True
        )
        return asked.stdout.split()

    def count(self, rows):
        return int(self.ask(f"SELECT COUNT(*) FROM {rows}")[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
