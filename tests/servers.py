"""A small server of files that resumes, counts and breaks off downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``, path to bytes; each request is noted in ``server.requests``."""

    def do_GET(self):
        server = self.server
        content = server.files.get(self.path)
        wanted = self.headers.get('Range')
        server.requests.append((self.path, wanted))
        if content is None:
            self.send_error(404, 'no such file')
            return
        tag, start = f'"{hash(content)}"', 0
        if wanted and self.headers.get('If-Range') == tag:
            start = int(wanted.removeprefix('bytes=').rstrip('-'))
        self.send_response(206 if start else 200)
        self.send_header('ETag', tag)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        # Ends the connection early as often as told to.
        broken = server.break_after is not None and server.breaks > 0
        server.breaks -= broken
        for place in range(start, len(content), server.chunk):
            if broken and place - start >= server.break_after:
                break
            try:
                self.wfile.write(content[place : place + server.chunk])
            except OSError:  # The client was killed.
                return
            server.pause.wait(server.delay)

    def log_message(self, *args):
        """Print nothing."""


@contextmanager
def serving(files, break_after=None, breaks=0, delay=0.0, chunk=1000):
    """Serve files at ``server.address`` while the block runs.

    Args:
        files (dict): Path, such as ``/a.pth``, to bytes.
        break_after (int, optional): Bytes after which a connection ends early.
        breaks (int): How many connections end early.
        delay (float): Seconds between chunks.
        chunk (int): Bytes of a chunk.
    """
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.files, server.requests, server.pause = files, [], threading.Event()
    server.break_after, server.breaks, server.delay, server.chunk = (
        break_after,
        breaks,
        delay,
        chunk,
    )
    server.address = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
