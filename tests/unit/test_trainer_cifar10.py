"""The download itself, of an archive of 60 pictures from a server on this machine."""

import hashlib
import io
import multiprocessing
import pickle
import socket
import tarfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from trainer import cifar10
from trainer.cifar10 import load_cifar10
from trainer.data import DataUnavailable, load_dataset

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))


class OldPickler(pickle.Pickler):
    """Writes the type of an array as NumPy did in 2009, as the real archive has it."""

    def reducer_override(self, value):
        return (np.dtype, ("u1", 0, 1)) if isinstance(value, np.dtype) else NotImplemented


def pickle_as_in_2009(content):
    file = io.BytesIO()
    OldPickler(file, protocol=2).dump(content)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def draw_rows(seed, num_pictures=10):
    return np.random.default_rng(seed).integers(0, 256, (num_pictures, 3072), dtype=np.uint8)


def build_files():
    """Contents by name: pictures as rows of a red, a green and a blue plane, labels as a list."""
    files = {
        name: pickle_as_in_2009({"data": draw_rows(seed), "labels": [(seed + each) % 10 for each in range(10)]})
        for seed, name in enumerate((*TRAIN_FILES, "test_batch"))
    }
    return files | {"batches.meta": pickle_as_in_2009({"label_names": list(CLASSES)})}


def build_archive(files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def hash_md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content` under any name and notes what was asked for."""

    def __init__(self, content):
        self.content, self.requests = content, []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/cifar-10-python.tar.gz"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join()
            self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.requests.append(self.command)
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        with suppress(ConnectionError):  # torchvision hangs up once when it only looks for redirections
            self.wfile.write(self.server.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def files():
    return build_files()


@pytest.fixture(scope="module")
def archive(files):
    return build_archive(files)


@pytest.fixture(autouse=True)
def small_cifar10(monkeypatch, files, archive):
    """torchvision expects the small archive; this machine is reached without a proxy."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hash_md5(archive))
    monkeypatch.setattr(CIFAR10, "train_list", [[name, hash_md5(files[name])] for name in TRAIN_FILES])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", hash_md5(files["test_batch"])]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": hash_md5(files["batches.meta"])})


@pytest.fixture
def server(monkeypatch, archive):
    server = Server(archive)
    monkeypatch.setattr(CIFAR10, "url", server.url)
    yield server
    server.stop()


@pytest.fixture
def no_server(monkeypatch):
    """A port that is taken, so that nothing else can listen there, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{taken.getsockname()[1]}/cifar-10-python.tar.gz")
        yield


def check_remedies(message, folder):
    assert f"Put cifar-10-python.tar.gz (from {CIFAR10.url}) into {folder}" in message
    assert "set dataset: imagefolder with data_dir" in message
    assert "set dataset: synthetic, which needs none" in message


def test_the_download_becomes_arrays(tmp_path, server):
    data = load_cifar10(tmp_path / "deep" / "folder")
    assert data.name == "cifar10"
    assert data.classes == CLASSES
    assert data.train_images_NHWC.shape == (50, 32, 32, 3)
    assert data.test_images_NHWC.shape == (10, 32, 32, 3)
    assert data.train_images_NHWC.dtype == data.test_images_NHWC.dtype == np.uint8
    assert data.train_labels_N.dtype == data.test_labels_N.dtype == np.int64
    assert data.train_labels_N.tolist() == [(seed + each) % 10 for seed in range(5) for each in range(10)]
    assert data.test_labels_N.tolist() == [(5 + each) % 10 for each in range(10)]


def test_colours_and_places_of_pixels_are_right(tmp_path, server):
    data = load_cifar10(tmp_path)
    for row, column, channel in [(0, 0, 0), (0, 31, 1), (31, 0, 2), (7, 20, 1)]:
        position = channel * 1024 + row * 32 + column
        assert data.train_images_NHWC[13, row, column, channel] == draw_rows(1)[3, position]
        assert data.test_images_NHWC[9, row, column, channel] == draw_rows(5)[9, position]


def test_pictures_lie_in_memory_as_training_needs_them(tmp_path, server):
    data = load_cifar10(tmp_path)
    assert data.train_images_NHWC.flags.c_contiguous
    assert data.test_images_NHWC.flags.c_contiguous


def test_downloaded_once_and_then_read_without_a_server(tmp_path, server):
    first = load_cifar10(tmp_path)
    # torchvision asks once more to find out whether it is sent elsewhere.
    assert server.requests == ["HEAD", "GET", "GET"]
    load_cifar10(tmp_path)
    assert server.requests == ["HEAD", "GET", "GET"]
    server.stop()
    assert load_cifar10(tmp_path).digest == first.digest


def test_an_archive_put_there_by_hand_needs_no_server(tmp_path, no_server, archive):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
    assert load_cifar10(tmp_path).classes == CLASSES


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_an_unpacking_that_broke_off_is_made_good_from_the_archive(tmp_path, no_server, archive, name):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
    whole = load_cifar10(tmp_path).digest
    (tmp_path / "cifar-10-batches-py" / name).write_bytes(b"half")
    assert load_cifar10(tmp_path).digest == whole


def test_an_unreachable_server(tmp_path, no_server):
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: .*Connection refused") as caught:
        load_cifar10(tmp_path)
    assert f"CIFAR-10 is not in {tmp_path}" in str(caught.value)
    check_remedies(str(caught.value), tmp_path)


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "_CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/cifar-10-python.tar.gz")
        with pytest.raises(DataUnavailable, match="could not be downloaded: timed out") as caught:
            load_cifar10(tmp_path)
    check_remedies(str(caught.value), tmp_path)


def test_a_server_that_does_not_have_it(tmp_path, server):
    server.content = b""
    with pytest.raises(DataUnavailable, match="could not be downloaded: Not Found") as caught:
        load_cifar10(tmp_path)
    check_remedies(str(caught.value), tmp_path)


def test_a_server_of_something_else(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{listener.getsockname()[1]}/cifar-10-python.tar.gz")

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DataUnavailable, match=r"could not be downloaded: SSH-2.0-OpenSSH_9.2\. Put") as caught:
            load_cifar10(tmp_path)
        thread.join()
    check_remedies(str(caught.value), tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda archive: archive[:-1], lambda archive: b"0" * len(archive)], ids=["cut short", "something else"]
)
def test_a_corrupt_download_is_an_error_and_the_next_attempt_gets_it_anew(tmp_path, server, archive, damage):
    server.content = damage(archive)
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: File not found or corrupted\. Put") as caught:
        load_cifar10(tmp_path)
    check_remedies(str(caught.value), tmp_path)
    server.content = archive
    assert load_cifar10(tmp_path).classes == CLASSES


def test_a_folder_that_cannot_be_made(tmp_path, server):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: .*Not a directory") as caught:
        load_cifar10(tmp_path / "file" / "folder")
    check_remedies(str(caught.value), tmp_path / "file" / "folder")
    assert server.requests == []


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_the_patience_of_other_connections_stays_as_it_was(tmp_path, server, monkeypatch, outcome):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(17.0)
    try:
        if outcome == "success":
            load_cifar10(tmp_path)
        else:
            server.content = b"corrupt"
            with pytest.raises(DataUnavailable):
                load_cifar10(tmp_path)
        assert socket.getdefaulttimeout() == 17.0
    finally:
        socket.setdefaulttimeout(before)


def test_processes_that_need_it_at_once_download_it_once(tmp_path, server):
    context = multiprocessing.get_context("fork")  # the children expect the small archive, too
    start, digests = context.Barrier(2), context.SimpleQueue()

    def load():
        start.wait()
        digests.put(load_cifar10(tmp_path).digest)

    processes = [context.Process(target=load) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests.count("HEAD") == 1
    assert [digests.get(), digests.get()] == [load_cifar10(tmp_path).digest] * 2


def test_kept_in_data_dir_or_else_in_the_cache_folder(tmp_path, server, monkeypatch):
    monkeypatch.setenv("SWEEPS_DATA", str(tmp_path / "environment"))
    load_dataset("cifar10", str(tmp_path / "asked"), tmp_path / "cache")
    load_dataset("cifar10", None, tmp_path / "cache")
    load_dataset("cifar10", None)
    for name in ("asked", "cache", "environment"):
        assert (tmp_path / name / "cifar-10-python.tar.gz").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "cache", "environment"]
