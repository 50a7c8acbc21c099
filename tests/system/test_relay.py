"""The relay: both directions, their ends, their pauses and their timeouts."""

import asyncio
import hashlib
import os
import queue
import socket
import ssl
import struct
import threading
import time

import backends
import clients
import harness
import proc
from certificates import certificate

LARGE = 64 << 20
BUFFERED = 24 << 20  # at most this much of LARGE may lie in sockets and in the proxy
GROWTH = 4 << 20     # at most this much of it in the proxy's memory


class Relay(harness.SystemTest):
    def start(self, handler, unix_path=None, **options):
        self.backend = self.own(backends.Backend(handler, unix_path))
        self.proxy = self.start_proxy([certificate("p-256")], self.backend.address, **options)

    def no_connection_left(self):
        self.proxy.wait_for(0, "immure_connections")


class Segments(Relay):
    ALL, WITH_DATA = 140, 152  # tcpi_segs_in and tcpi_data_segs_in in struct tcp_info

    @staticmethod
    def segments(endpoint, which):
        """How many the socket has got."""
        info = endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 156)
        return struct.unpack_from("I", info, which)[0]

    def test_ticket_goes_with_the_response(self):
        """The handshake's flight is one segment, ticket and response another, unless the backend
        takes 200 ms."""
        self.start(backends.echo)
        found = set()
        for _ in range(10):
            stream = self.own(clients.Stream(self.proxy.port, clients.context(clients.TLS13),
                                             first=b"ping"))
            self.assertEqual(stream.receive(), b"ping")
            self.assertTrue(stream.tls.session.has_ticket)
            found.add(self.segments(stream.socket, self.WITH_DATA))
        self.assertIn(2, found)

    def test_ticket_waits_for_no_response(self):
        self.start(lambda connection: connection.recv(100))
        stream = self.own(clients.Stream(self.proxy.port, clients.context(clients.TLS13)))
        stream.incoming.write(stream.socket.recv(65536))
        with self.assertRaises(ssl.SSLWantReadError):
            stream.tls.read()
        self.assertTrue(stream.tls.session.has_ticket)

    def test_first_bytes_go_with_the_last_segment_of_the_connect(self):
        found = queue.Queue()

        def count(connection):
            connection.recv(100)
            found.put(self.segments(connection, self.ALL))

        self.start(count)
        for _ in range(10):
            self.own(clients.Stream(self.proxy.port, clients.context(clients.TLS13), first=b"ping"))
        self.assertIn(2, [found.get(timeout=harness.LIMIT) for _ in range(10)])  # SYN is the first

    def test_the_connect_waits_for_no_bytes(self):
        """Otherwise the kernel would delay the last segment by 200 ms, and a backend that speaks
        first."""
        self.start(lambda connection: connection.sendall(b"220 ready"))

        def greeted(stream):
            self.assertEqual(stream.receive_all(), b"220 ready")

        harness.assert_within(0.1, lambda: harness.seconds_of(
            greeted, self.own(clients.Stream(self.proxy.port))), tries=10)


class HalfClose(Relay):
    def test_client_ends_first(self):
        """The answer comes after the end of the question."""
        def digest(connection):
            sha = hashlib.sha256()
            while data := connection.recv(65536):
                sha.update(data)
            time.sleep(0.2)
            connection.sendall(sha.hexdigest().encode())

        self.start(digest)
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                stream = self.own(clients.Stream(self.proxy.port, clients.context(version)))
                stream.send(b"question" * 1000)
                stream.end_sending()
                self.assertEqual(stream.receive_all().decode(),
                                 hashlib.sha256(b"question" * 1000).hexdigest())
        self.no_connection_left()

    def test_backend_ends_first(self):
        """The client may go on sending after the backend's end, and the backend gets it."""
        got = []

        def greet(connection):
            connection.sendall(b"greeting")
            connection.shutdown(socket.SHUT_WR)
            data = b""
            while more := connection.recv(65536):
                data += more
            got.append(data)

        self.start(greet)
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                stream = self.own(clients.Stream(self.proxy.port, clients.context(version)))
                self.assertEqual(stream.receive_all(), b"greeting")
                got.clear()
                stream.send(b"after your end")
                stream.end_sending()
                harness.wait_until(lambda: got, "the backend's end of file")
                self.assertEqual(got, [b"after your end"])
        self.no_connection_left()

    def ended(self, how):
        self.proxy.wait_for(1, "immure_connection_ends_total", how=how)
        self.assertEqual(self.proxy.metric("immure_connection_ends_total"), 1)
        self.no_connection_left()

    def test_an_end_on_both_sides_is_clean(self):
        self.start(backends.echo)
        stream = self.own(clients.Stream(self.proxy.port))
        stream.send(b"hello")
        stream.end_sending()
        self.assertEqual(stream.receive_all(), b"hello")
        self.ended("clean")

    def test_client_is_reset_in_the_middle_of_an_upload(self):
        """The backend must not take a partial upload for a complete one."""
        seen = queue.Queue()

        def swallow(connection):
            try:
                while connection.recv(65536):
                    pass
                seen.put("an end")
            except ConnectionResetError:
                seen.put("a reset")

        self.start(swallow)
        stream = clients.Stream(self.proxy.port)
        stream.send(b"hello")
        self.proxy.wait_for(5, "immure_relayed_bytes_total", direction="in")
        clients.reset(stream.socket)
        self.assertEqual(seen.get(timeout=harness.LIMIT), "a reset")
        self.ended("client-failed")

    def test_client_ends_without_close_notify(self):
        """The client's direction has ended. The pending reply still arrives, and the end is counted
        as unclean."""
        def answer(connection):
            got = b""
            while more := connection.recv(65536):
                got += more
            time.sleep(0.2)
            connection.sendall(b"to: " + got)

        self.start(answer, top='log-level = debug')
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                stream = self.own(clients.Stream(self.proxy.port, clients.context(version)))
                stream.send(b"hello")
                stream.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(stream.receive_all(), b"to: hello")  # with close_notify
        self.proxy.wait_for(2, "immure_connection_ends_total", how="client-unclean")
        self.assertIn("connection ended: client-unclean", self.proxy.log())
        self.no_connection_left()

    def test_client_leaves_without_close_notify(self):
        ended = threading.Event()

        def wait_for_end(connection):
            while connection.recv(65536):
                pass
            ended.set()

        self.start(wait_for_end)
        stream = clients.Stream(self.proxy.port)
        stream.send(b"hello")
        stream.close()
        self.assertTrue(ended.wait(harness.LIMIT))
        self.no_connection_left()

    def test_backend_vanishes(self):
        """After a reset from the backend the client must not see an orderly end."""
        def vanish(connection):
            connection.recv(1)
            connection.sendall(b"half an ans")
            time.sleep(0.1)
            clients.reset(connection)

        self.start(vanish)
        stream = self.own(clients.Stream(self.proxy.port))
        stream.send(b"x")
        with self.assertRaises((ssl.SSLEOFError, ConnectionResetError)):
            while stream.receive():
                pass
        self.ended("backend-failed")

    def test_backend_is_reset_while_it_gets_bytes(self):
        """That the error was met in sending does not make an end of the answer that never came."""
        def vanish(connection):
            connection.recv(1)
            clients.reset(connection)

        self.start(vanish)
        stream = self.own(clients.Stream(self.proxy.port))
        stream.send(bytes(100000))
        with self.assertRaises((ssl.SSLEOFError, ConnectionResetError)):
            while stream.receive():
                pass
        self.ended("backend-failed")

    def test_half_close_timeout(self):
        def silent(connection):
            while connection.recv(65536):
                pass
            time.sleep(harness.LIMIT)

        self.start(silent, top='half-close-timeout = "500ms"')
        stream = self.own(clients.Stream(self.proxy.port))
        begin = time.monotonic()
        stream.end_sending()
        with self.assertRaises(ssl.SSLEOFError):  # the answer is not whole
            stream.receive_all()
        self.assertGreater(time.monotonic() - begin, 0.4)
        self.assertLess(time.monotonic() - begin, 10, "the standard is 30")
        self.ended("half-close-timeout")


class ReadAhead(Relay):
    """libssl reads ahead: data in its buffer causes no further event."""

    RECORDS = 200

    def send_with_the_handshake(self, version, end):
        """The handshake's last bytes, many small records and perhaps the end, in one write."""
        connection = self.own(socket.create_connection(("127.0.0.1", self.proxy.port)))
        connection.settimeout(harness.LIMIT)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = clients.context(version).wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        for _ in range(self.RECORDS):
            tls.write(b"0123456789")
        if end:
            try:
                tls.unwrap()
            except ssl.SSLWantReadError:
                pass
        connection.sendall(outgoing.read())
        return connection, incoming, tls

    def check(self, end):
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version, end=end):
                connection, incoming, tls = self.send_with_the_handshake(version, end)
                data = b""
                while len(data) < 10 * self.RECORDS:
                    try:
                        data += tls.read(65536)
                    except ssl.SSLWantReadError:
                        incoming.write(connection.recv(65536))
                self.assertEqual(data, b"0123456789" * self.RECORDS)

    def test_records_that_come_with_the_handshake(self):
        self.start(backends.echo)
        self.check(end=False)
        self.check(end=True)

    def test_while_the_backend_does_not_read(self):
        """They wait in libssl and in the proxy, and are sent when it reads again."""
        reading = threading.Event()

        def late(connection):
            connection.sendall(b"ready")
            reading.wait(harness.LIMIT)
            sha = hashlib.sha256()
            while data := connection.recv(65536):
                sha.update(data)
            connection.sendall(sha.hexdigest().encode())

        self.start(late)
        stream = self.own(clients.Stream(self.proxy.port))
        self.assertEqual(stream.receive(), b"ready")
        sent = hashlib.sha256()
        stream.socket.settimeout(0.5)
        try:
            for number in range(100_000):
                data = b"%d " % number * (1 + number % 300)
                stream.tls.write(data)
                sent.update(data)
                pending = stream.outgoing.read()
                while pending:
                    pending = pending[stream.socket.send(pending):]
        except TimeoutError:
            pass
        reading.set()
        stream.socket.settimeout(harness.LIMIT)
        stream.socket.sendall(pending)
        stream.end_sending()
        self.assertEqual(stream.receive_all().decode(), sent.hexdigest())
        self.no_connection_left()


class BackPressure(Relay):
    def test_slow_client(self):
        """A client that does not read stops the backend, not the proxy."""
        sent = [0]

        def source(connection):
            connection.recv(1)
            body = backends.body(LARGE)
            while sent[0] < LARGE:
                sent[0] += connection.send(body[sent[0]:sent[0] + (1 << 18)])

        self.start(source, workers=1)
        worker = self.proxy.worker()
        probe = self.own(clients.Stream(self.proxy.port))
        before = proc.resident(worker)
        probe.send(b"x")
        settled = self.stands_still(lambda: sent[0])
        self.assertLess(settled, BUFFERED)
        if not harness.SANITIZE:
            self.assertLess(proc.resident(worker) - before, GROWTH)
        busy = proc.cpu(worker)
        time.sleep(0.5)
        self.assertLess(proc.cpu(worker) - busy, 0.2, "the loop spins while it has to wait")
        self.assertEqual(hashlib.sha256(probe.receive_all()).digest(),
                         hashlib.sha256(backends.body(LARGE)).digest())

    def test_slow_backend(self):
        """A backend that does not read stops the client, and gets all of it in the end."""
        go = threading.Event()
        digests = []

        def sink(connection):
            go.wait(harness.LIMIT)
            sha = hashlib.sha256()
            while data := connection.recv(1 << 18):
                sha.update(data)
            digests.append(sha.digest())

        self.start(sink, workers=1)
        worker = self.proxy.worker()
        stream = self.own(clients.Stream(self.proxy.port))
        before = proc.resident(worker)
        body = backends.body(LARGE)
        sent = [0]

        def push():
            while sent[0] < LARGE:
                stream.send(body[sent[0]:sent[0] + (1 << 16)])
                sent[0] += 1 << 16
            stream.end_sending()

        stream.socket.settimeout(None)
        pusher = threading.Thread(target=push, daemon=True)
        pusher.start()
        self.assertLess(self.stands_still(lambda: sent[0]), BUFFERED)
        if not harness.SANITIZE:
            self.assertLess(proc.resident(worker) - before, GROWTH)
        go.set()
        pusher.join(harness.LIMIT)
        harness.wait_until(lambda: digests, "all of it at the backend")
        self.assertEqual(digests, [hashlib.sha256(body).digest()])

    def stands_still(self, value):
        """The value when it has not changed for a second."""
        last, since = value(), time.monotonic()

        def still():
            nonlocal last, since
            if value() != last:
                last, since = value(), time.monotonic()
            return last and time.monotonic() - since > 1

        harness.wait_until(still, "the sender to be stopped")
        return last

    def test_many_at_once_both_ways(self):
        self.start(backends.echo)
        body = backends.body(1 << 20)

        async def client(version):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.proxy.port, ssl=clients.context(version), server_hostname="localhost")
            receiving = asyncio.create_task(reader.readexactly(len(body)))
            writer.write(body)
            await writer.drain()
            echoed = await receiving
            writer.close()
            return echoed == body

        async def all_of_them():
            return await asyncio.wait_for(asyncio.gather(
                *(client(version) for version in (clients.TLS12, clients.TLS13) * 10)), harness.LIMIT)

        self.assertEqual(asyncio.run(all_of_them()), [True] * 20)
        self.no_connection_left()
        for name in ("in", "out"):
            self.proxy.wait_for(20 * len(body), "immure_relayed_bytes_total", direction=name)


class TimeLimits(Relay):
    def test_idle(self):
        self.start(backends.echo, top='idle-timeout = "2s"')
        connection = self.own(clients.connect(self.proxy.port))
        for _ in range(5):  # longer than the limit in all, but never idle for so long
            time.sleep(0.5)
            begin = time.monotonic()
            clients.echo_once(connection)
        self.assert_ends(connection)
        self.assertGreater(time.monotonic() - begin, 1.9)
        self.no_connection_left()
        self.proxy.wait_for(1, "immure_idle_timeouts_total")

    def assert_ends(self, connection):
        try:
            self.assertEqual(connection.recv(1), b"")
        except (ssl.SSLEOFError, ConnectionResetError):
            pass

    def test_what_was_idle_ends_well(self):
        """It ends with close_notify, and with a FIN to the backend, because no data was in
        transit."""
        seen = queue.Queue()

        def note_end(connection):
            backends.echo(connection)
            seen.put("an end")

        self.start(note_end, top='idle-timeout = "500ms"')
        stream = self.own(clients.Stream(self.proxy.port))
        stream.send(b"hello")
        self.assertEqual(stream.receive_all(), b"hello")
        self.assertEqual(seen.get(timeout=harness.LIMIT), "an end")
        self.proxy.wait_for(1, "immure_connection_ends_total", how="idle-timeout")

    def test_handshake(self):
        self.start(backends.echo, top='handshake-timeout = "2s"')
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            self.assert_ends(connection)
            self.assertGreater(time.monotonic() - begin, 1.9)
        self.no_connection_left()
        self.proxy.wait_for(1, "immure_handshakes_total", result="timeout")
        with clients.connect(self.proxy.port) as connection:
            time.sleep(2.2)  # it is for handshakes only
            clients.echo_once(connection)

    def test_connect(self):
        """A backend whose queue is full never answers."""
        listener = self.own(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):
            waiting = self.own(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        self.proxy = self.start_proxy([certificate("p-256")], "127.0.0.1:%d" % address[1],
                                      top='connect-timeout = "500ms"')
        begin = time.monotonic()
        self.assert_ends(clients.connect(self.proxy.port))
        self.assertGreater(time.monotonic() - begin, 0.4)
        self.proxy.wait_for(1, "immure_backend_errors_total")


class Backends(Relay):
    def test_unix_socket(self):
        self.start(backends.echo, os.path.join(self.directory, "app.sock"))
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection, b"over a path")

    def test_down_and_up_again(self):
        path = os.path.join(self.directory, "app.sock")
        self.start(backends.echo, path)
        self.backend.close()
        os.unlink(path)
        for number in range(1, 4):
            stream = self.own(clients.Stream(self.proxy.port))
            with self.assertRaises(ssl.SSLEOFError):  # close_notify would make it an empty answer
                stream.receive()
            self.proxy.wait_for(number, "immure_backend_errors_total")
            self.proxy.wait_for(number, "immure_connection_ends_total", how="backend-failed")
        self.own(backends.Backend(backends.echo, path))
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def full_unix_socket(self, **options):
        """A listener that accepts nothing, and as many connections as it lets wait."""
        path = os.path.join(self.directory, "full.sock")
        listener = self.own(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(0)
        while True:
            waiting = self.own(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            if waiting.connect_ex(path) != 0:
                break
        self.proxy = self.start_proxy([certificate("p-256")], "unix:" + path, **options)
        return listener

    def test_full_unix_socket_is_tried_again(self):
        listener = self.full_unix_socket()
        stream = self.own(clients.Stream(self.proxy.port, first=b"hello"))
        time.sleep(0.2)
        greeted = []
        while not greeted:
            connection = self.own(listener.accept()[0])
            connection.settimeout(0.5)
            try:
                greeted = [connection] if connection.recv(100) == b"hello" else []
            except TimeoutError:
                pass  # one of those that waited
        greeted[0].sendall(b"welcome")
        self.assertEqual(stream.receive(), b"welcome")

    def test_full_unix_socket_is_given_up(self):
        self.full_unix_socket(top='connect-timeout = "300ms"')
        begin = time.monotonic()
        stream = self.own(clients.Stream(self.proxy.port))
        with self.assertRaises(ssl.SSLEOFError):
            stream.receive()
        self.assertGreater(time.monotonic() - begin, 0.25)
        self.proxy.wait_for(1, "immure_backend_errors_total")

    def test_the_backend_speaks_first(self):
        self.start(lambda connection: connection.sendall(b"220 ready"))
        stream = self.own(clients.Stream(self.proxy.port))
        self.assertEqual(stream.receive_all(), b"220 ready")


class ConnectionLimit(Relay):
    def test_more_wait(self):
        limit = 8
        self.start(backends.echo, workers=2,  # the limit is over both
                   top=f"max-connections = {limit}")
        served = [clients.connect(self.proxy.port) for _ in range(limit)]
        for connection in served:
            self.own(connection)
            clients.echo_once(connection)
        self.proxy.wait_for(limit, "immure_connections")

        late = self.own(socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT))
        late.sendall(clients.client_hello())
        late.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            late.recv(1)
        for connection in served:
            clients.echo_once(connection)
            connection.close()
        late.settimeout(harness.LIMIT)
        self.assertEqual(late.recv(1), b"\x16", "the one that waited gets its ServerHello")


if __name__ == "__main__":
    harness.main()
