"""Downloads from a server on this machine that redirects, cuts off, sends too much, or is wrong."""

import gzip
import hashlib
import http.server
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from kplib import cli
from kplib.data import DATA_SETS, downloads, files
from kplib.data.downloads import DownloadError, download
from kplib.data.files import File, Source
from kplib.errors import DataError, MissingDataError

CONTENT = np.random.default_rng(0).bytes(1 << 20)
SIZE = len(CONTENT)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Page:
    """What the server does for one path: one entry of `cuts` is used up by each request."""

    content: bytes = CONTENT
    status: int = 200
    location: str = ""
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)  # bytes to send before hanging up
    slow: float = 0.0  # seconds after each 64 KiB
    says: str | None = None  # the Content-Length it claims
    encoding: str = ""  # the Content-Encoding it claims


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = self.server.pages.get(self.path, Page(status=404))
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        if page.status != 200:
            self.send_response(page.status)
            self.send_header("Location", page.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and page.ranges else 0
        if start >= len(page.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(page.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = page.content[start:]
        self.send_response(206 if start else 200)
        if page.says != "":
            self.send_header("Content-Length", page.says or str(len(body)))
        if page.encoding:
            self.send_header("Content-Encoding", page.encoding)
        self.end_headers()
        cut = page.cuts.pop(0) if page.cuts else None
        for at in range(0, len(body[:cut]), 1 << 16):
            self.wfile.write(body[:cut][at : at + (1 << 16)])
            time.sleep(page.slow)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.pages, server.requests = {}, []
        server.handle_error = lambda *_: None  # a client that is killed breaks its connection
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, path, *pages, size=SIZE, known_hash=SHA256):
    urls = [server.url + page for page in pages]
    download(urls, path, size=size, known_hash=known_hash, progress=False)


def leftovers(path):
    return {file.name for file in path.parent.iterdir()} - {path.name, f"{path.name}.lock"}


def test_a_download_is_whole_and_leaves_nothing_beside_it(server, tmp_path):
    server.pages["/a"] = Page()
    path = tmp_path / "new" / "a.bin"
    fetch(server, path, "/a")
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == set()


def test_a_redirect_is_followed(server, tmp_path):
    server.pages |= {"/old": Page(status=302, location="/a"), "/a": Page()}
    fetch(server, tmp_path / "a.bin", "/old")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_gzip_is_not_unpacked_on_the_way(server, tmp_path):
    server.pages["/a.gz"] = Page(b"\x1f\x8b" + CONTENT)
    fetch(server, tmp_path / "a.gz", "/a.gz", size=None, known_hash=None)
    assert (tmp_path / "a.gz").read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Page(status=404), "404 Client Error"),
        (Page(status=503), "503 Server Error"),
        (Page(content=CONTENT[::-1]), "hash"),
        (Page(content=CONTENT + b"!"), "sends more than the 1,048,576 bytes"),
        (Page(content=CONTENT[:-1]), "ends after 1,048,575 of the 1,048,576 bytes"),
        (Page(cuts=[0] * 9), "IncompleteRead"),
        (Page(says="1000"), "ends after 1,000 of the 1,048,576 bytes"),
        (Page(content=CONTENT[:-1], says="9" * 30), "IncompleteRead"),
        (Page(says="many"), "invalid literal|ends after"),
        (Page(content=CONTENT * 40, says=""), "sends more than the 1,048,576 bytes"),
        (
            Page(gzip.compress(bytes(30 << 20), 1), encoding="gzip"),
            "sends more than the 1,048,576",
        ),
        (Page(b"no gzip", encoding="gzip"), "decod"),
        (Page(status=302, location="file:///etc/passwd"), "No connection adapters"),
        (Page(status=302, location="/bad"), "redirects"),
    ],
    ids=[
        "404",
        "503",
        "wrong hash",
        "oversized",
        "truncated",
        "cut off",
        "says less",
        "says too much",
        "says nonsense",
        "endless",
        "bomb",
        "no gzip",
        "leads to a file",
        "loop",
    ],
)
def test_a_bad_address_is_refused_and_the_mirror_used(server, tmp_path, bad, why):
    server.pages |= {"/bad": bad, "/good": Page()}
    path = tmp_path / "a.bin"
    with pytest.raises(DownloadError, match=why):
        fetch(server, path, "/bad")
    assert not path.exists()
    fetch(server, path, "/bad", "/good")
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == set()


def test_a_file_of_no_published_size_does_not_fill_the_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_MOST_BYTES", 700_000)
    server.pages["/a"] = Page(says="")
    path = tmp_path / "a.bin"
    with pytest.raises(DownloadError, match="sends more than the 700,000 bytes"):
        fetch(server, path, "/a", size=None)
    assert not path.exists()
    assert leftovers(path) == set()


def test_nothing_listens(tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/a: .*refused"):
        download(["http://127.0.0.1:9/a"], tmp_path / "a", progress=False)


def test_a_broken_connection_goes_on_where_it_ended(server, tmp_path):
    server.pages["/a"] = Page(cuts=[300_000, 300_000])
    fetch(server, tmp_path / "a.bin", "/a")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    first, second, third = (asked for _, asked in server.requests)
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in (second, third)]
    assert first is None
    assert 0 < starts[0] <= 300_000 < starts[1] <= 600_000


def test_a_part_is_kept_for_the_next_time(server, tmp_path):
    path = tmp_path / "a.bin"
    server.pages["/a"] = Page(cuts=[700_000, 0, 0])
    with pytest.raises(DownloadError, match=r"[1-9][\d,]+ bytes are kept; the next try"):
        fetch(server, path, "/a")
    assert leftovers(path) == {"a.bin.part"}
    server.requests.clear()
    server.pages["/a"] = Page()
    fetch(server, path, "/a")
    assert path.read_bytes() == CONTENT
    ((_, asked),) = server.requests
    assert asked.startswith("bytes=")


def test_without_ranges_it_is_sent_anew_and_what_is_here_is_skipped(server, tmp_path):
    server.pages["/a"] = Page(ranges=False, cuts=[500_000])
    fetch(server, tmp_path / "a.bin", "/a")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_without_ranges_a_shorter_try_loses_nothing(server, tmp_path):
    path = tmp_path / "a.bin"
    server.pages["/a"] = Page(ranges=False, cuts=[700_000, 100_000])
    with pytest.raises(DownloadError, match="bytes are kept"):
        fetch(server, path, "/a")
    assert 400_000 < (tmp_path / "a.bin.part").stat().st_size <= 700_000
    fetch(server, path, "/a")
    assert path.read_bytes() == CONTENT


def test_without_an_announced_length_a_break_is_a_break(server, tmp_path):
    server.pages["/a"] = Page(says="", cuts=[300_000, 300_000])
    fetch(server, tmp_path / "a.bin", "/a")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=600000-"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("part", [b"of another file", CONTENT[::-1], CONTENT + b"longer"])
def test_a_part_of_something_else_is_thrown_away(server, tmp_path, part, size):
    (tmp_path / "a.bin.part").write_bytes(part)
    server.pages["/a"] = Page()
    fetch(server, tmp_path / "a.bin", "/a", size=size)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"longer"])
def test_without_size_and_hash_the_server_says_what_is_whole(server, tmp_path, part):
    (tmp_path / "a.bin.part").write_bytes(part)
    server.pages["/a"] = Page()
    fetch(server, tmp_path / "a.bin", "/a", size=None, known_hash=None)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_whole_part_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.bin", "/a")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.requests == []


def test_a_killed_download_leaves_no_file_and_is_resumed(server, tmp_path):
    path = tmp_path / "a.bin"
    server.pages["/a"] = Page(slow=0.2)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=download, args=([f"{server.url}/a"], path))
    process.start()
    part, deadline = tmp_path / "a.bin.part", time.monotonic() + 120
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert 0 < part.stat().st_size < len(CONTENT)
    assert not path.exists()
    server.requests.clear()
    server.pages["/a"] = Page()
    fetch(server, path, "/a")
    assert path.read_bytes() == CONTENT
    assert server.requests[0][1].startswith("bytes=")


def test_killed_at_any_moment_the_file_is_whole_or_not_there(server, tmp_path):
    """Killed again and again, at moments of its own choice, until it has come through."""
    seed = random.randrange(2**32)
    print(f"random.Random({seed})")
    rng = random.Random(seed)
    path = tmp_path / "a.bin"
    server.pages["/a"] = Page(slow=0.02)  # 0.3 s in all
    context = multiprocessing.get_context("forkserver")  # a new process in milliseconds
    context.set_forkserver_preload(["kplib.data.downloads", "pooch", "requests"])
    options = {"size": SIZE, "known_hash": SHA256, "progress": False}
    kills = 0
    for _ in range(40):
        asked = len(server.requests)
        process = context.Process(target=download, args=([f"{server.url}/a"], path), kwargs=options)
        process.start()
        until(lambda asked=asked, p=process: len(server.requests) > asked or not p.is_alive())
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert not path.exists() or path.read_bytes() == CONTENT
        known = re.compile(r"a\.bin(\.part|\.lock)?|tmp\w+")  # pooch's own, of no name of ours
        assert all(known.fullmatch(name) for name in os.listdir(tmp_path))
        if path.exists():
            break
    assert kills >= 1
    fetch(server, path, "/a")
    assert path.read_bytes() == CONTENT
    assert not (tmp_path / "a.bin.part").exists()


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_a_full_disk_is_told_and_what_arrived_is_kept(server, folders, monkeypatch, capsys):
    """No file may grow beyond 300,000 bytes: to a program that is a full disk."""
    _, cache = folders
    server.pages["/a"] = Page(slow=0.01)
    tiny, _ = source(f"{server.url}/a")
    monkeypatch.setitem(DATA_SETS, "tiny", tiny)
    monkeypatch.setattr(sys, "argv", ["kplib", "data", "fetch", "tiny"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended.value.code == 1
    assert re.search(r"Tiny: a\.bin .* is missing.*File too large", capsys.readouterr().out)
    path = cache / "data" / "tiny" / "a.bin"
    assert not path.exists()
    assert 0 < path.with_name("a.bin.part").stat().st_size <= 300_000
    assert files.locate(*source(f"{server.url}/a")).read_bytes() == CONTENT
    assert server.requests[-1][1].startswith("bytes=")


def test_two_at_once_download_once(server, tmp_path):
    server.pages["/a"] = Page(slow=0.02)
    path = tmp_path / "a.bin"
    threads = [threading.Thread(target=fetch, args=(server, path, "/a")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


# Where files are ----------------------------------------------------------------------------------


def source(*urls, name="a.bin", size=SIZE, known_hash=SHA256):
    file = File(name, urls, size, known_hash)
    return Source("tiny", "Tiny", "tiny", {"only": (file,)}, "none", "nobody", "whole"), file


def test_kplib_data_comes_before_the_cache(server, folders):
    data, cache = folders
    server.pages["/a"] = Page()
    tiny, file = source(f"{server.url}/a")
    assert files.find(tiny, file) is None
    assert files.locate(tiny, file) == cache / "data" / "tiny" / "a.bin"
    (data / "tiny").mkdir()
    (data / "tiny" / "a.bin").write_bytes(CONTENT)
    assert files.locate(tiny, file) == data / "tiny" / "a.bin"
    assert len(server.requests) == 1


def test_a_missing_file_gives_address_size_and_places(server, folders):
    data, cache = folders
    tiny, file = source(f"{server.url}/a", f"{server.url}/b")
    with pytest.raises(MissingDataError) as raised:
        files.locate(tiny, file)
    for part in (
        "Tiny: a.bin (1,048,576 bytes) is missing",
        f"Address: {server.url}/a or {server.url}/b",
        f"{data}/tiny/a.bin or {cache}/data/tiny/a.bin",
        "404",
    ):
        assert part in str(raised.value)
    assert not (cache / "data" / "tiny" / "a.bin").exists()


def test_without_an_address_the_message_says_so(folders, monkeypatch):
    monkeypatch.delenv("KPLIB_DATA")
    tiny, file = source(size=None)
    with pytest.raises(
        MissingDataError, match=r"size not published.*no public address.*KPLIB_DATA"
    ):
        files.locate(tiny, file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (CONTENT[:-1], r"has 1,048,575 bytes, but a\.bin has 1,048,576; remove it"),
        (CONTENT[:-1] + b"?", r"is not a\.bin as published: its sha256 is [0-9a-f]{64}, not"),
    ],
)
def test_a_file_that_is_here_is_checked(folders, content, why):
    data, _ = folders
    (data / "tiny").mkdir()
    (data / "tiny" / "a.bin").write_bytes(content)
    with pytest.raises(DataError, match=why):
        files.locate(*source())


def test_a_changed_file_is_hashed_again(tmp_path):
    path = tmp_path / "a"
    found = set()
    for content in (b"one", b"three"):
        path.write_bytes(content)
        found.add(files.digest(path))
        assert files.digest(path) == hashlib.sha256(content).hexdigest()
    assert len(found) == 2


def test_an_edition_that_is_here_is_preferred(folders):
    data, _ = folders
    private, public, third = File("p"), File("q", ("http://127.0.0.1:9/q",)), File("r")
    tiny = Source("t", "T", "t", {"x": (private,), "y": (public,), "z": (third,)}, "", "", "")
    assert tiny.edition() == (public,)
    (data / "t").mkdir()
    (data / "t" / "r").touch()
    assert tiny.edition() == (third,)
    assert tiny.edition("x") == (private,)
    with pytest.raises(DataError, match="t has no edition 'w', but x, y, z"):
        tiny.edition("w")
