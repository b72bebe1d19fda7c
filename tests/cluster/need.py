"""Saying what was expected and what was seen."""

import time

# How much of what was seen is told, in letters.
LONGEST_SEEN = 900


class Failed(Exception):
    """A proof that doesn't hold."""


def need(holds, expected, seen):
    if not holds:
        raise Failed(f"expected {expected}; saw {str(seen)[:LONGEST_SEEN]}")


def until(look, patience_s, expected, pause_s=0.1):
    """What `look` gives once it gives something; it may fail on the way."""
    end = time.monotonic() + patience_s
    while True:
        try:
            seen = look()
            if seen:
                return seen
        except OSError as error:
            seen = error
        need(time.monotonic() < end, f"{expected} within {patience_s} s", seen)
        time.sleep(pause_s)
