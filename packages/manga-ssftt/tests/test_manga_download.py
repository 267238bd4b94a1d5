from __future__ import annotations

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

NAME = "manga-8485-1901-MAPS-SPX-MILESHC-MASTARSSP.fits.gz"
CONTENT = gzip.compress(np.random.default_rng(1).bytes(300_000), mtime=0)


class Archive(BaseHTTPRequestHandler):
    """Serves one file, with ranges; breaks off after `limit` bytes while that is set."""

    limit: int | None = None
    ranges = True
    content = CONTENT

    def do_GET(self):
        if not self.path.endswith(f"/8485/1901/{NAME}"):
            self.send_error(404)
            return
        start, wanted = 0, self.headers.get("Range")
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                self.send_error(416)
                return
            self.send_response(206)
            end = len(self.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        else:
            self.send_response(200)
        body = self.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        type(self).requested.append(start)
        self.wfile.write(body if self.limit is None else body[: self.limit])

    def log_message(self, *_words):
        pass


@pytest.fixture
def archive():
    class Own(Archive):
        requested: list[int] = []  # noqa: RUF012 - a class of its own for each test

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Own.url = f"http://127.0.0.1:{server.server_address[1]}/dr17"
    yield Own
    server.shutdown()
    server.server_close()
    thread.join()


def words(archive, root):
    return ("download", "8485-1901", "--root", root, "--base-url", archive.url, "--maps-only", "-q")


def test_files_are_fetched_once(archive, run_json, run, tmp_path):
    assert run_json(*words(archive, tmp_path)[:-1])["fetched"] == {NAME: len(CONTENT)}
    path = tmp_path / "raw" / "8485" / "1901" / NAME
    assert path.read_bytes() == CONTENT
    assert run_json(*words(archive, tmp_path)[:-1])["skipped"] == [NAME]
    assert archive.requested == [0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on(archive, run, tmp_path, ranges):
    archive.limit, archive.ranges = 100_000, ranges
    status, _, err = run(*words(archive, tmp_path))
    assert status == 3
    assert "run again" in err
    path = tmp_path / "raw" / "8485" / "1901" / NAME
    assert not path.exists()
    failures = tmp_path / "raw" / "failures.jsonl"
    assert json.loads(failures.read_text())["product"] == NAME
    archive.limit = None
    assert run(*words(archive, tmp_path))[0] == 0
    assert not failures.exists()
    assert path.read_bytes() == CONTENT
    assert archive.requested == [0, 100_000 if ranges else 0]
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]


def test_checksums_decide(archive, run, tmp_path):
    sums = tmp_path / "sums"
    sums.write_text(f"{'0' * 40}  {NAME}\n")
    status, _, err = run(*words(archive, tmp_path), "--checksums", sums)
    assert status == 3
    assert "sha1" in err
    assert not list((tmp_path / "raw").glob("*/*/*"))
    sums.write_text(f"{hashlib.sha256(CONTENT).hexdigest()} *sas/{NAME}\n")
    assert run(*words(archive, tmp_path), "--checksums", sums)[0] == 0


def test_damaged_streams_do_not_count(archive, run, tmp_path):
    archive.content = CONTENT[:5000] + b"\x00" * 50 + CONTENT[5050:]
    status, _, err = run(*words(archive, tmp_path))
    assert status == 3
    assert "damaged gzip stream" in err
    archive.content = CONTENT[:-2000]
    status, _, err = run(*words(archive, tmp_path))
    assert status == 3
    assert "cut short" in err


def test_what_the_server_lacks_is_named(archive, run, run_json, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("# two galaxies\n8485-1901\n8485-1902\n")
    status, _, err = run(
        *("download", "--list", listed, "--root", tmp_path, "--base-url", archive.url),
        *("--maps-only", "-q"),
    )
    assert status == 3
    assert "404" in err
    assert (tmp_path / "raw" / "failures.jsonl").is_file()
    found = run_json(
        *("download", "--list", listed, "--root", tmp_path, "--base-url", archive.url),
        "--dry-run",
    )
    assert len(found["would_fetch"]) == 3
