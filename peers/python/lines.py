"""Common to the peers in Python: the lines they speak, the data they store, how they are timed."""

import gc
import os
import sys
import time
import uuid
from dataclasses import dataclass

SHORT = 100
LONG = 10_000
LOG_ACCOUNTS = 1_000
BATCH = 100
PAGE = 1_000
PATIENCE = 20.0  # seconds: a subscriber that has not handled an event by then has lost it
NOTE = (
    "salary for the month of November, paid by the usual standing order; "
    "see the agreement of last year, page 12, line 4"
)


class NotOffered(Exception):
    """Why a peer does not do a work."""


@dataclass(frozen=True)
class Deposit:
    """One deposit, of which each peer makes its own event."""

    account: str
    amount: int
    note: str


def amount(position):
    return 100 + position % 900


def deposit(account, position):
    """The deposit at a position, from 0, of an account's stream."""
    return Deposit(account, amount(position), NOTE)


def deposits(count):
    account = fresh()
    return account, [deposit(account, position) for position in range(count)]


def fresh():
    return str(uuid.uuid4())


def scattered(number):
    number = (number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835
    return str(uuid.UUID(int=number % (1 << 128)))


def loaded(events):
    """The account of SHORT or of LONG events."""
    return scattered(1_000_000 + events)


def seeds(replay):
    """What is there before anything is measured: (of the log, position, deposit)."""
    accounts = [scattered(number) for number in range(LOG_ACCOUNTS)]
    for number in range(replay):
        position = number // LOG_ACCOUNTS
        yield True, position, deposit(accounts[number % LOG_ACCOUNTS], position)
    for events in (SHORT, LONG):
        for position in range(events):
            yield False, position, deposit(loaded(events), position)


def chunks(replay, size=5_000):
    chunk = []
    for seed in seeds(replay):
        chunk.append(seed)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class Stopwatch:
    """Adds up what the peer's own calls took."""

    def __init__(self):
        self.total = 0

    def of(self, call, *args):
        began = time.perf_counter_ns()
        output = call(*args)
        self.total += time.perf_counter_ns() - began
        return output

    def after_first(self, number, call, *args):
        """Counts all but number 0, which warms the connection."""
        return self.of(call, *args) if number else call(*args)


def check_loaded(balance, events, expected):
    right = (sum(amount(position) for position in range(expected)), expected)
    if (balance, events) != right:
        raise ValueError(f"loaded {(balance, events)}, expected {right}")


def check_replayed(found, count):
    if found != count:
        raise ValueError(f"replayed {found} events, expected {count}")


def speak(name, version, make):
    """Answers the lines; `make(url, replay)` makes the peer, whose methods are the works."""
    peer = None
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        try:
            if word == "version":
                answer = f"{name} {version}"
            elif word == "prepare":
                peer = make(os.environ["DATABASE_URL"], int(number))
                answer = "ready"
            elif peer is None:
                raise ValueError("nothing is prepared; write `prepare REPLAY` first")
            else:
                gc.collect()
                answer = work(peer, word, int(number))
        except NotOffered as reason:
            answer = f"not offered: {reason}"
        except Exception as error:  # the program goes on
            answer = f"error: {type(error).__name__}: {error}"
        print(str(answer).replace("\n", " "), flush=True)
    if peer is not None:
        peer.close()


def work(peer, word, count):
    match word:
        case "append":
            return peer.append(count)
        case "batch":
            return peer.batch(count)
        case "load100":
            return peer.load(SHORT, count)
        case "load10000":
            return peer.load(LONG, count)
        case "replay":
            return peer.replay(count)
        case "end":
            return peer.end(count)
    raise ValueError(f"`{word}` is no work")
