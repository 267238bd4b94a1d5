from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest
from sdssfiles import rows_of, write_spec

from sdss_spectra.checksums import read_sums

LITE = "v5_13_2/spectra/lite/0266"


class _Archive(http.server.BaseHTTPRequestHandler):
    """Serves files and listings below a folder, with ranges; cuts answers short if told to."""

    folder: Path
    cut_once: set[str]
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        path = self.folder / self.path.lstrip("/")
        if path.is_dir() and self.path.endswith("/"):
            links = "".join(f'<a href="{p.name}">{p.name}</a>\n' for p in sorted(path.iterdir()))
            page = f'<html><a href="../">up</a>\n{links}</html>'.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = 0
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.split("=")[1].rstrip("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.path in self.cut_once:
            self.cut_once.discard(self.path)
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def archive(tmp_path):
    """A local archive in the layout of SDSS with two spectra."""
    for fiber in (1, 2):
        write_spec(
            tmp_path / "www" / LITE / f"spec-0266-51602-{fiber:04d}.fits", fiber=fiber, seed=fiber
        )
    handler = type(
        "Handler", (_Archive,), {"folder": tmp_path / "www", "cut_once": set(), "asked": []}
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_continues_checks_and_skips(archive, tmp_path, run):
    server, handler = archive
    handler.cut_once.add("/v5_13_2/spectra/lite/0266/spec-0266-51602-0001.fits")
    wanted = tmp_path / "list.txt"
    wanted.write_text("266-51602-1\n266-51602-2\n266-51602-3\n")
    words = ["fetch", wanted, "-o", tmp_path / "got", "--base-url",
             f"http://127.0.0.1:{server.server_port}", "--retries", 2]  # fmt: skip
    status, _, _ = run(*words)
    assert status == 3
    for fiber in (1, 2):
        name = f"spec-0266-51602-{fiber:04d}.fits"
        source = next((tmp_path / "www").rglob(name))
        assert (tmp_path / "got" / "0266" / name).read_bytes() == source.read_bytes()
    failure = json.loads((tmp_path / "got" / "failures.jsonl").read_text())
    assert failure["path"] == "0266/spec-0266-51602-0003.fits"
    assert "404" in failure["reason"]
    before = (tmp_path / "got" / "0266" / "spec-0266-51602-0001.fits").stat().st_mtime_ns
    run(*words)
    assert (tmp_path / "got" / "0266" / "spec-0266-51602-0001.fits").stat().st_mtime_ns == before
    rows = rows_of(tmp_path / "got" / "fetched.csv")
    assert (
        rows[0]["checksum"]
        == hashlib.sha256((tmp_path / "got" / rows[0]["file_path"]).read_bytes()).hexdigest()
    )
    assert not list((tmp_path / "got").rglob("*.part*"))


def test_fetch_refuses_a_file_of_another_checksum(archive, tmp_path, run):
    server, _ = archive
    wanted = tmp_path / "list.csv"
    wanted.write_text(f"plate,mjd,fiber,checksum\n266,51602,1,{'0' * 64}\n")
    status, _, err = run(
        "fetch", wanted, "-o", tmp_path / "got", "--base-url",
        f"http://127.0.0.1:{server.server_port}", "--retries", 0,
    )  # fmt: skip
    assert status == 3
    assert "sha256" in err
    assert not list((tmp_path / "got").rglob("*.fits*"))


def write_sums(folder, *, wrong=()):
    """The file of sums as the archive keeps it, with the release in its name."""
    lines = []
    for path in sorted(folder.glob("*.fits")):
        digest = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
        lines.append(f"{'0' * 40 if path.name in wrong else digest}  spectra/lite/0266/{path.name}")
    (folder / "eboss_spectro_redux_v5_13_2_spectra_lite_0266.sha1sum").write_text("\n".join(lines))


def test_fetch_checks_the_sums_of_the_archive(archive, tmp_path, run):
    server, handler = archive
    write_sums(tmp_path / "www" / LITE, wrong=["spec-0266-51602-0002.fits"])
    wanted = tmp_path / "list.txt"
    wanted.write_text("266-51602-1\n266-51602-2\n")
    words = ["fetch", wanted, "-o", tmp_path / "got", "--base-url",
             f"http://127.0.0.1:{server.server_port}", "--retries", 0]  # fmt: skip
    status, _, err = run(*words)
    assert status == 3
    assert "0" * 40 in err
    assert not list((tmp_path / "got").rglob("*0002.fits*"))
    (row,) = rows_of(tmp_path / "got" / "fetched.csv")
    assert row["file_path"] == "0266/spec-0266-51602-0001.fits"
    assert row["checked_against"] == "archive"
    # The listing and the sums are asked for once, not for each file.
    assert handler.asked.count(f"/{LITE}/") == 1
    # A file that was changed on disk is found by its sum, and fetched again.
    write_sums(tmp_path / "www" / LITE)
    mine = tmp_path / "got" / row["file_path"]
    whole = mine.read_bytes()
    mine.write_bytes(whole[:-1] + b"x")
    status, _, err = run(*words)
    assert status == 0
    assert "damaged" in err
    assert mine.read_bytes() == whole


def test_without_sums_the_table_says_so(archive, tmp_path, run):
    server, _ = archive
    wanted = tmp_path / "list.txt"
    wanted.write_text("266-51602-1\n")
    status, _, err = run(
        "fetch", wanted, "-o", tmp_path / "got", "--base-url",
        f"http://127.0.0.1:{server.server_port}",
    )  # fmt: skip
    assert status == 0
    assert "no sha1sum file" in err
    assert rows_of(tmp_path / "got" / "fetched.csv")[0]["checked_against"] == "length"


def test_sums_of_other_folders_are_not_followed(archive, tmp_path, run):
    server, handler = archive
    page = tmp_path / "www" / LITE / "index"
    (tmp_path / "www" / "other.sha1sum").write_text(f"{'1' * 40}  spec-0266-51602-0001.fits\n")
    # A listing may hold any link: only files of the folder itself are read.
    (page.parent / "a b.sha1sum").write_text(f"{'1' * 40}  spec-0266-51602-0001.fits\n")
    wanted = tmp_path / "list.txt"
    wanted.write_text("266-51602-1\n")
    status, _, _ = run(
        "fetch", wanted, "-o", tmp_path / "got", "--base-url",
        f"http://127.0.0.1:{server.server_port}",
    )  # fmt: skip
    assert status == 0
    assert not any("sha1sum" in path for path in handler.asked)


def test_an_archive_that_does_not_answer_is_one_failure_each(tmp_path, run):
    wanted = tmp_path / "list.txt"
    wanted.write_text("266-51602-1\n266-51602-2\n")
    status, _, err = run(
        "fetch", wanted, "-o", tmp_path / "got", "--base-url", "http://127.0.0.1:9", "--retries", 0
    )
    assert status == 3
    assert err.count("no answer") == 2
    assert len((tmp_path / "got" / "failures.jsonl").read_text().splitlines()) == 2


def test_lines_of_a_sum_file():
    text = f"# SHA1\n{'a' * 40}  ./x/spec-1.fits\n{'B' * 40} *spec-2.fits\n{'c' * 39}  no.fits\n"
    assert read_sums(text) == {"spec-1.fits": "a" * 40, "spec-2.fits": "b" * 40}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("266-51602-12345\n", "line 1"),
        ("266-51602-1\n266-51602\n", "line 2"),
        ("plate,mjd,fiber,run2d\n266,51602,1,../x\n", "line 2"),
        ('plate,mjd,fiber\n266,51602,"1\0"\n', "line 2"),
        ("", "empty list"),
    ],
)
def test_a_list_with_a_wrong_line_fetches_nothing(tmp_path, run, text, said):
    (tmp_path / "list.txt").write_text(text)
    status, _, err = run("fetch", tmp_path / "list.txt", "-o", tmp_path / "got")
    assert status == 1
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    "url", ["ftp://archive", "archive", "http://", "http://[::1", "http://h:x"]
)
def test_an_address_of_another_kind_is_a_usage_error(tmp_path, run, url):
    (tmp_path / "list.txt").write_text("266-51602-1\n")
    status, _, err = run(
        "fetch", tmp_path / "list.txt", "-o", tmp_path / "got", "--base-url", url, "--retries", 0
    )
    assert status == 2
    assert "--base-url" in err
    assert not (tmp_path / "got").exists()


def test_a_host_that_no_name_may_have_is_a_failure(tmp_path, run):
    (tmp_path / "list.txt").write_text("266-51602-1\n")
    status, _, err = run(
        "fetch", tmp_path / "list.txt", "-o", tmp_path / "got", "--base-url", "http://a..b",
        "--retries", 0,
    )  # fmt: skip
    assert status == 3
    assert "no answer" in err
