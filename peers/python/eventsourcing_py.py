"""`eventsourcing` on PostgreSQL, with its defaults: JSON, no snapshots, no cache."""

import queue
import urllib.parse
from importlib.metadata import version
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

import lines


class Account(Aggregate):
    """Its first event is that of its making, and is a deposit too."""

    class Opened(Aggregate.Created):
        account: str
        amount: int
        note: str

    class Deposited(Aggregate.Event):
        account: str
        amount: int
        note: str

    class Withdrawn(Aggregate.Event):
        account: str
        amount: int

    @event(Opened)
    def __init__(self, account, amount, note):
        self.balance = amount
        self.events = 1

    @staticmethod
    def create_id(account, amount, note):
        return UUID(account)

    @event(Deposited)
    def deposit(self, account, amount, note):
        self.balance += amount
        self.events += 1

    @event(Withdrawn)
    def withdraw(self, account, amount):
        self.balance -= amount
        self.events += 1


class Ledger(Application[UUID]):
    # The most that its notification log gives at once.
    log_section_size = lines.PAGE


class Handled(POPOTrackingRecorder):
    """A view in memory that begins where the log ended when it was made."""

    begins = 0

    def __init__(self):
        super().__init__()
        self.heard = queue.SimpleQueue()
        self.insert_tracking(Tracking(Ledger.name, self.begins))


class Hear(Projection[Handled]):
    name = "hear"

    def process_event(self, domain_event, tracking):
        self.view.insert_tracking(tracking)
        self.view.heard.put(domain_event.originator_id)


def environment(url):
    url = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(url.query))
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": url.path.lstrip("/"),
        "POSTGRES_HOST": query.get("host") or url.hostname or "localhost",
        "POSTGRES_PORT": str(query.get("port") or url.port or 5432),
        "POSTGRES_USER": query.get("user") or url.username or "postgres",
        "POSTGRES_PASSWORD": url.password or "none",
        # The projection's view.
        "HEAR_PERSISTENCE_MODULE": "eventsourcing.popo",
    }


def opened(deposit):
    return Account(account=deposit.account, amount=deposit.amount, note=deposit.note)


def deposit_into(account, deposit):
    account.deposit(account=deposit.account, amount=deposit.amount, note=deposit.note)


class Peer:
    def __init__(self, url, replay):
        self.env = environment(url)
        self.app = Ledger(env=self.env)
        self.seed(replay)

    def seed(self, replay):
        """By its own recorder, events of many aggregates at once.

        No more at once than this: its driver's pipeline hangs on a statement that the socket's
        buffer cannot take.
        """
        accounts = {}
        for chunk in lines.chunks(replay, size=250):
            events = []
            for _, _, deposit in chunk:
                account = accounts.get(deposit.account)
                if account is None:
                    account = accounts[deposit.account] = opened(deposit)
                else:
                    deposit_into(account, deposit)
                events.extend(account.collect_events())
            self.app.events.put(events)
        with self.app.factory.datastore.get_connection() as connection:
            connection.execute("VACUUM ANALYZE")

    def append(self, count):
        _, deposits = lines.deposits(count + 1)
        account = opened(deposits[0])
        self.app.save(account)
        watch = lines.Stopwatch()
        for deposit in deposits[1:]:
            deposit_into(account, deposit)
            watch.of(self.app.save, account)
        return watch.total

    def batch(self, count):
        watch = lines.Stopwatch()
        for number in range(count + 1):
            _, deposits = lines.deposits(lines.BATCH)
            account = opened(deposits[0])
            for deposit in deposits[1:]:
                deposit_into(account, deposit)
            recordings = watch.after_first(number, self.app.save, account)
            if len(recordings) != lines.BATCH:
                raise ValueError(f"the batch had {len(recordings)} events")
        return watch.total

    def load(self, events, count):
        number = UUID(lines.loaded(events))
        self.app.repository.get(number)
        watch = lines.Stopwatch()
        for _ in range(count):
            account = watch.of(self.app.repository.get, number)
            lines.check_loaded(account.balance, account.events, events)
        return watch.total

    def replay_all(self, count):
        found = 0
        start = 1
        while found < count:
            page = self.app.notification_log.select(start, min(lines.PAGE, count - found))
            if not page:
                break
            found += len([self.app.mapper.to_domain_event(one) for one in page])
            start = page[-1].id + 1
        return found

    def replay(self, count):
        self.replay_all(1)
        watch = lines.Stopwatch()
        lines.check_replayed(watch.of(self.replay_all, count), count)
        return watch.total

    def end(self, count):
        """Its runner listens in threads of its own; a notification wakes it."""
        Handled.begins = self.app.recorder.max_notification_id()
        watch = lines.Stopwatch()
        with ProjectionRunner(
            application_class=Ledger,
            projection_class=Hear,
            view_class=Handled,
            env=self.env,
        ) as runner:
            heard = runner.projection.view.heard

            def there_and_back(account):
                runner.app.save(account)
                if heard.get(timeout=lines.PATIENCE) != account.id:
                    raise ValueError("another event was handled")

            for number in range(count + 1):
                account = opened(lines.deposit(lines.fresh(), 0))
                watch.after_first(number, there_and_back, account)
        return watch.total

    def close(self):
        self.app.close()


if __name__ == "__main__":
    lines.speak("eventsourcing", version("eventsourcing"), Peer)
