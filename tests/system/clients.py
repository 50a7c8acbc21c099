"""TLS clients: Python's own, one with full control over every byte, and openssl s_client."""

import socket
import ssl
import struct
import subprocess
import threading
import time

import harness

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3


def context(version=None, trusted=None, alpn=None):
    """Without `trusted` (a Certificate) the server's certificate is not checked."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version:
        made.minimum_version = made.maximum_version = version
    if trusted:
        made.load_verify_locations(trusted.chain)
    else:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def connect(port, tls=None, name="localhost", session=None, before=b"", source=None):
    """A connection with a finished handshake. `before` is sent in the clear first. The client's
    address is `source`, if given: any in 127.0.0.0/8."""
    raw = raw_connection(port, source)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if before:
            raw.sendall(before)
        return (tls or context()).wrap_socket(raw, server_hostname=name, session=session)
    except BaseException:
        raw.close()
        raise


def raw_connection(port, source=None):
    """A TCP connection from this address of loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=harness.LIMIT,
                                    source_address=source and (source, 0))


def refused(port):
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=harness.LIMIT).close()
        return False
    except ConnectionRefusedError:
        return True


def receive_exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        more = connection.recv(min(size - len(data), 1 << 18))
        if not more:
            raise ConnectionError(f"the stream ended after {len(data)} of {size} bytes")
        data += more
    return bytes(data)


def echo_once(connection, data=b"ping"):
    """The round-trip time through an echo backend, in seconds."""
    begin = time.perf_counter()
    connection.sendall(data)
    back = receive_exactly(connection, len(data))
    if back != data:
        raise AssertionError(f"sent {data!r}, got {back!r}")
    return time.perf_counter() - begin


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def client_hello(version=None, name="localhost"):
    """The bytes of a ClientHello, for handshakes that are never finished."""
    outgoing = ssl.MemoryBIO()
    tls = context(version).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Stream:
    """TLS over a socket, in which each direction ends separately."""

    def __init__(self, port, tls=None, name="localhost", first=b""):
        """`first` is sent with the last bytes of the handshake."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=harness.LIMIT)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls or context()
        # By default Python 3.11.2 (Debian 12) ignores a missing close_notify.
        tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.step(self.begin, first)

    def begin(self, first):
        self.tls.do_handshake()
        if first:
            self.tls.write(first)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.socket.sendall(data)

    def step(self, call, *arguments):
        while True:
            try:
                value = call(*arguments)
                self.flush()
                return value
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def receive(self, size=65536):
        """b"" after close_notify; an end without one raises ssl.SSLEOFError."""
        try:
            return self.step(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            if error.reason == "UNEXPECTED_EOF_WHILE_READING":
                raise ssl.SSLEOFError(*error.args) from None
            raise

    def receive_all(self):
        data = bytearray()
        while more := self.receive():
            data += more
        return bytes(data)

    def end_sending(self):
        """Sends close_notify, and nothing after it; receiving continues."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()

    def close(self):
        self.socket.close()


def s_client(port, *options, text=b"", name="localhost"):
    """Sends `text` with `openssl s_client`. Returns its output and whether it succeeded."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, *options],
        input=text, capture_output=True, timeout=harness.LIMIT, check=False)
    output = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return output, done.returncode == 0


class Load:
    """Threads that do the same again and again, until stopped."""

    PAUSE = 0.05  # seconds after a failure

    def __init__(self, threads=4):
        self.done, self.failures, self.stopping = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def once(self, number):
        """What thread `number` does."""
        raise NotImplementedError

    def note(self, result):
        """Counts what once() has returned; one thread at a time."""
        del result
        self.done += 1

    def run(self, number):
        while not self.stopping:
            try:
                result = self.once(number)
                with self.lock:
                    self.note(result)
            except (OSError, AssertionError) as error:
                with self.lock:
                    self.failures.append(repr(error))
                time.sleep(self.PAUSE)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(harness.LIMIT)


class HandshakeLoad(Load):
    """Connects, exchanges one message through an echo backend, and closes."""

    def __init__(self, port, threads=4, version=None):
        self.port = port
        self.contexts = [context(version) for _ in range(threads)]
        super().__init__(threads)

    def once(self, number):
        with connect(self.port, self.contexts[number]) as connection:
            echo_once(connection)
