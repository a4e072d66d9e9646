"""`message-db-py`, a client of the genuine Message DB, whose database is there already."""

from dataclasses import asdict, dataclass
from uuid import uuid4

import message_db
import psycopg2.extras
from message_db.client import MessageDB

import lines


@dataclass(frozen=True)
class Deposited:
    account: str
    amount: int
    note: str


@dataclass(frozen=True)
class Withdrawn:
    account: str
    amount: int


# The client hands over dictionaries; to make events of them is the application's part.
EVENTS = {"Deposited": Deposited, "Withdrawn": Withdrawn}


def decode(message):
    return EVENTS[message["type"]](**message["data"])


class Account:
    def __init__(self):
        self.balance = 0
        self.events = 0

    def apply(self, event):
        self.events += 1
        match event:
            case Deposited(amount=amount):
                self.balance += amount
            case Withdrawn(amount=amount):
                self.balance -= amount


class Peer:
    def __init__(self, url, replay):
        # Message DB's functions name each other without their schema.
        options = "-c search_path=message_store,public"
        self.store = MessageDB.from_url(url, options=options)
        self.seed(replay)

    def seed(self, replay):
        """By plain SQL: message by message it would take minutes."""
        connection = self.store.connection_pool.get_connection()
        with connection, connection.cursor() as cursor:
            for chunk in lines.chunks(replay):
                rows = [
                    (
                        str(uuid4()),
                        f"{'log' if log else 'account'}-{deposit.account}",
                        "Deposited",
                        position,
                        psycopg2.extras.Json(asdict(deposit)),
                    )
                    for log, position, deposit in chunk
                ]
                psycopg2.extras.execute_values(
                    cursor,
                    "INSERT INTO message_store.messages (id, stream_name, type, position, data) VALUES %s",
                    rows,
                    template="(%s::uuid, %s, %s, %s, %s)",
                    page_size=1_000,
                )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        connection.autocommit = False
        self.store.connection_pool.release(connection)

    def write(self, stream, deposit, expected):
        self.store.write(stream, "Deposited", asdict(deposit), expected_version=expected)

    def append(self, count):
        account, deposits = lines.deposits(count + 1)
        stream = f"account-{account}"
        self.write(stream, deposits[0], -1)
        watch = lines.Stopwatch()
        for expected, deposit in enumerate(deposits[1:]):
            watch.of(self.write, stream, deposit, expected)
        return watch.total

    def write_batch(self, stream, deposits):
        data = [("Deposited", asdict(deposit)) for deposit in deposits]
        return self.store.write_batch(stream, data, expected_version=-1)

    def batch(self, count):
        watch = lines.Stopwatch()
        for number in range(count + 1):
            account, deposits = lines.deposits(lines.BATCH)
            last = watch.after_first(number, self.write_batch, f"account-{account}", deposits)
            if last != lines.BATCH - 1:
                raise ValueError(f"the batch ended at {last}")
        return watch.total

    def load_one(self, stream):
        account = Account()
        for message in self.store.read_stream(stream, no_of_messages=-1):
            account.apply(decode(message))
        return account

    def load(self, events, count):
        stream = f"account-{lines.loaded(events)}"
        self.load_one(stream)
        watch = lines.Stopwatch()
        for _ in range(count):
            account = watch.of(self.load_one, stream)
            lines.check_loaded(account.balance, account.events, events)
        return watch.total

    def replay_all(self, count):
        found = 0
        position = 0
        while found < count:
            page = self.store.read_category("log", position, min(lines.PAGE, count - found))
            if not page:
                break
            found += len([decode(message) for message in page])
            position = page[-1]["global_position"] + 1
        return found

    def replay(self, count):
        self.replay_all(1)
        watch = lines.Stopwatch()
        lines.check_replayed(watch.of(self.replay_all, count), count)
        return watch.total

    def end(self, count):
        raise lines.NotOffered("it has no subscribers")

    def close(self):
        self.store.connection_pool.closeall()


if __name__ == "__main__":
    lines.speak("message-db-py", message_db.__version__, Peer)
