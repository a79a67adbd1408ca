"""A server that says exactly the bytes it is told, broken and slow ones included."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def raw_server(*parts):
    """A server that says these bytes on every connection, once asked.

    A number is a pause in seconds, cut short at the end; a function is called.
    """
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(conn):
        with conn:
            conn.recv(65536)
            for part in parts:
                if isinstance(part, bytes):
                    conn.sendall(part)
                elif callable(part):
                    part()
                elif stop.wait(part):
                    return

    def accept():
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=quiet, args=(talk, conn), daemon=True).start()

    def quiet(what, conn):
        with contextlib.suppress(OSError):
            what(conn)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def head(*lines, status="200 OK"):
    """The beginning of an answer, as bytes."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()
