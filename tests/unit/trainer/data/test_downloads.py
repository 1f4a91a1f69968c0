"""The download itself, of each set, from a server on this machine that has archives of 60 images."""

import gzip
import hashlib
import io
import multiprocessing
import pickle
import re
import socket
import struct
import tarfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from torchvision.datasets import CIFAR10, CIFAR100, SVHN, FashionMNIST

from trainer.config.trial_settings import SETTINGS
from trainer.data import downloads
from trainer.data.dataset import DataUnavailable
from trainer.data.downloads import DOWNLOADS, load_download
from trainer.data.load import load_dataset
from trainer.data.lock import hold_lock

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = tuple(f"kind {number}" for number in range(100))
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class Small:
    """A set of 50 training and 10 test images.

    Attributes:
        archives: What is downloaded: content by name.
        folder: Where the archives are kept.
        attributes: Makes the attributes of the torchvision class with which it expects these archives at an address.
    """

    name: str
    torchvision_class: type
    archives: dict
    folder: str
    attributes: object
    classes: tuple
    train_images_NHWC: np.ndarray
    train_labels_N: np.ndarray
    test_images_NHWC: np.ndarray
    test_labels_N: np.ndarray

    def move_to(self, address, monkeypatch):
        for name, value in self.attributes(address).items():
            monkeypatch.setattr(self.torchvision_class, name, value)

    def put(self, folder, **contents):
        (folder / self.folder).mkdir(parents=True, exist_ok=True)
        for name, content in (self.archives | contents).items():
            (folder / self.folder / name).write_bytes(content)


class OldPickler(pickle.Pickler):
    """Writes the type of an array as NumPy did in 2009, as the real archives have it."""

    def reducer_override(self, value):
        return (np.dtype, ("u1", 0, 1)) if isinstance(value, np.dtype) else NotImplemented


def pickle_as_in_2009(content):
    file = io.BytesIO()
    OldPickler(file, protocol=2).dump(content)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def hash_md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def draw_images(*, num_classes=10, shape=(32, 32, 3)):
    """Training images, their labels, test images and their labels; the last class is among both."""
    images = np.random.default_rng(0).integers(0, 256, (60, *shape), dtype=np.uint8)
    train_labels_N, test_labels_N = (num_classes - 1 - np.arange(num) * 7 % num_classes for num in (50, 10))
    return images[:50], train_labels_N, images[50:], test_labels_N


def flatten(images_NHWC):
    """Rows of a red, a green and a blue plane."""
    return np.concatenate([images_NHWC[..., channel].reshape(-1, 1024) for channel in range(3)], axis=1)


def build_tar(folder, files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def build_cifar(name, torchvision_class, archive_name, images, classes, train_files, test_files, meta):
    files = {**train_files, **test_files, meta["filename"]: meta["content"]}
    archive = build_tar(torchvision_class.base_folder, files)

    def build_attributes(address):
        return {
            "url": f"{address}/{archive_name}",
            "tgz_md5": hash_md5(archive),
            "train_list": [[name, hash_md5(content)] for name, content in train_files.items()],
            "test_list": [[name, hash_md5(content)] for name, content in test_files.items()],
            "meta": {**torchvision_class.meta, "md5": hash_md5(meta["content"])},
        }

    return Small(name, torchvision_class, {archive_name: archive}, ".", build_attributes, classes, *images)


def build_cifar10():
    images = train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N = draw_images()

    def build_batch(images_NHWC, labels_N):
        return pickle_as_in_2009({"data": flatten(images_NHWC), "labels": labels_N.tolist()})

    tens = [slice(start, start + 10) for start in range(0, 50, 10)]
    return build_cifar(
        "cifar10",
        CIFAR10,
        "cifar-10-python.tar.gz",
        images,
        CIFAR10_CLASSES,
        {
            f"data_batch_{number}": build_batch(train_images_NHWC[ten], train_labels_N[ten])
            for number, ten in enumerate(tens, 1)
        },
        {"test_batch": build_batch(test_images_NHWC, test_labels_N)},
        {"filename": "batches.meta", "content": pickle_as_in_2009({"label_names": list(CIFAR10_CLASSES)})},
    )


def build_cifar100():
    images = train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N = draw_images(num_classes=100)

    def build_batch(images_NHWC, labels_N):
        labels = {"fine_labels": labels_N.tolist(), "coarse_labels": (labels_N // 5).tolist()}
        return pickle_as_in_2009({"data": flatten(images_NHWC), **labels})

    names = {"fine_label_names": list(CIFAR100_CLASSES), "coarse_label_names": [f"group {n}" for n in range(20)]}
    return build_cifar(
        "cifar100",
        CIFAR100,
        "cifar-100-python.tar.gz",
        images,
        CIFAR100_CLASSES,
        {"train": build_batch(train_images_NHWC, train_labels_N)},
        {"test": build_batch(test_images_NHWC, test_labels_N)},
        {"filename": "meta", "content": pickle_as_in_2009(names)},
    )


def build_svhn():
    images = train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N = draw_images()

    def build_mat(images_NHWC, labels_N):
        target = io.BytesIO()
        digits_N1 = np.where(labels_N == 0, 10, labels_N).astype(np.uint8)[:, np.newaxis]
        scipy.io.savemat(target, {"X": images_NHWC.transpose(1, 2, 3, 0), "y": digits_N1}, do_compression=True)
        return target.getvalue()

    archives = {
        "train_32x32.mat": build_mat(train_images_NHWC, train_labels_N),
        "test_32x32.mat": build_mat(test_images_NHWC, test_labels_N),
    }

    def build_attributes(address):
        names = {part: f"{part}_32x32.mat" for part in ("train", "test", "extra")}  # extra is not there
        return {
            "split_list": {
                part: [f"{address}/{name}", name, hash_md5(archives.get(name, b""))] for part, name in names.items()
            }
        }

    return Small("svhn", SVHN, archives, ".", build_attributes, tuple("0123456789"), *images)


def build_fashion_mnist():
    parts_Nhw = train_images_Nhw, train_labels_N, test_images_Nhw, test_labels_N = draw_images(shape=(28, 28))

    def build_idx(array):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        return gzip.compress(header + array.astype(np.uint8).tobytes())

    def build_images(images_Nhw):
        images_NHWC = np.zeros((len(images_Nhw), 32, 32, 3), dtype=np.uint8)
        images_NHWC[:, 2:30, 2:30, :] = images_Nhw[..., np.newaxis]
        return images_NHWC

    names = [f"{part}-{content}-ubyte.gz" for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1")]
    archives = {name: build_idx(array) for name, array in zip(names, parts_Nhw, strict=True)}

    def build_attributes(address):
        resources = [(name, hash_md5(content)) for name, content in archives.items()]
        return {"mirrors": [f"{address}/"], "resources": resources}

    return Small(
        "fashion_mnist",
        FashionMNIST,
        archives,
        "FashionMNIST/raw",
        build_attributes,
        FASHION_CLASSES,
        build_images(train_images_Nhw),
        train_labels_N,
        build_images(test_images_Nhw),
        test_labels_N,
    )


BUILDERS = {
    "cifar10": build_cifar10,
    "cifar100": build_cifar100,
    "svhn": build_svhn,
    "fashion_mnist": build_fashion_mnist,
}


class Server(ThreadingHTTPServer):
    """Serves files by their names and notes what was asked for; `goes_on` is cleared for it to stall half-way."""

    def __init__(self, files):
        self.files, self.requests, self.goes_on = dict(files), [], threading.Event()
        self.goes_on.set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        if self.thread.is_alive():
            self.goes_on.set()
            self.shutdown()
            self.thread.join()
            self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        name = self.path.removeprefix("/")
        self.content = self.server.files.get(name)
        self.server.requests.append((self.command, name))
        self.send_response(404 if self.content is None else 200)
        self.send_header("Content-Length", str(len(self.content or b"")))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        half = len(self.content or b"") // 2
        with suppress(ConnectionError):  # torchvision hangs up once when it only looks for redirections
            for piece in (self.content[:half], self.content[half:]) if self.content else ():
                self.wfile.write(piece)
                self.server.goes_on.wait()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module", params=DOWNLOADS)
def small(request):
    return BUILDERS[request.param]()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server(monkeypatch, small):
    server = Server(small.archives)
    small.move_to(server.address, monkeypatch)
    yield server
    server.stop()


@pytest.fixture
def no_server(monkeypatch, small):
    """A port that is taken, so that nothing else can listen there, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        small.move_to(address, monkeypatch)
        yield address


def list_requests(names):
    """What the server is asked: for each file its size, then whether it was moved, and then for itself."""
    return [*(("HEAD", name) for name in names), *[("GET", name) for name in names for _ in range(2)]]


def check_remedies(message, small, folder, address):
    files = ", ".join(f"{name} (from {address}/{name})" for name in small.archives)
    assert f"{DOWNLOADS[small.name].title} is not in {folder} and could not be downloaded: " in message
    assert f". Put {files} into {folder / small.folder}, or set dataset: imagefolder with data_dir" in message
    assert "set dataset: synthetic, which needs none" in message
    assert "\n" not in message


def test_every_row_can_be_asked_for():
    assert SETTINGS["dataset"].choices == (*DOWNLOADS, "imagefolder", "synthetic")


@pytest.mark.parametrize("row", DOWNLOADS.values(), ids=DOWNLOADS)
def test_every_row_has_a_source_and_archives_with_checksums(row):
    assert "http" in row.home_page
    for archive in row.list_archives(getattr(torchvision.datasets, row.torchvision_class)):
        assert re.fullmatch(f"https?://.*/{re.escape(Path(archive.path).name)}", archive.url)
        assert re.fullmatch("[0-9a-f]{32}", archive.md5)


def test_the_download_becomes_arrays(tmp_path, server, small):
    data = load_download(small.name, tmp_path / "deep" / "folder")
    assert (data.name, data.classes) == (small.name, small.classes)
    for part in ("train_images_NHWC", "train_labels_N", "test_images_NHWC", "test_labels_N"):
        assert np.array_equal(getattr(data, part), getattr(small, part)), part
    assert data.train_images_NHWC.dtype == data.test_images_NHWC.dtype == np.uint8
    assert data.train_labels_N.dtype == data.test_labels_N.dtype == np.int64
    assert max(data.train_labels_N) == max(data.test_labels_N) == len(data.classes) - 1


def test_images_lie_in_memory_as_training_needs_them(tmp_path, server, small):
    data = load_download(small.name, tmp_path)
    assert data.train_images_NHWC.flags.c_contiguous
    assert data.test_images_NHWC.flags.c_contiguous


def test_downloaded_once_and_then_read_without_a_server(tmp_path, server, small):
    first = load_download(small.name, tmp_path)
    assert server.requests == list_requests(list(small.archives))
    server.stop()
    assert load_download(small.name, tmp_path).digest == first.digest


def test_archives_put_there_by_hand_need_no_server(tmp_path, no_server, small):
    small.put(tmp_path)
    assert load_download(small.name, tmp_path).classes == small.classes


def test_only_what_is_broken_is_downloaded_anew(tmp_path, server, small):
    *_, last = small.archives
    small.put(tmp_path, **{last: small.archives[last][:-1]})
    load_download(small.name, tmp_path)
    assert server.requests == list_requests([last])


@pytest.mark.parametrize("length", [0, 3, 6, -1])
@pytest.mark.parametrize(
    ("small", "path"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("cifar10", "cifar-10-batches-py/test_batch"),
        ("cifar10", "cifar-10-batches-py/batches.meta"),
        ("cifar100", "cifar-100-python/train"),
        ("cifar100", "cifar-100-python/meta"),
        ("fashion_mnist", "FashionMNIST/raw/train-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw/t10k-labels-idx1-ubyte"),
    ],
    indirect=["small"],
)
def test_an_unpacking_that_broke_off_is_made_good_from_the_archive(tmp_path, no_server, small, path, length):
    small.put(tmp_path)
    whole = load_download(small.name, tmp_path).digest
    (tmp_path / path).write_bytes((tmp_path / path).read_bytes()[:length])
    assert load_download(small.name, tmp_path).digest == whole


def test_an_unreachable_server(tmp_path, no_server, small):
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: .*Connection refused\. Put") as caught:
        load_download(small.name, tmp_path)
    check_remedies(str(caught.value), small, tmp_path, no_server)


@pytest.mark.parametrize(
    ("small", "path"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("cifar100", "cifar-100-python/train"),
        ("svhn", "test_32x32.mat"),
        ("fashion_mnist", "FashionMNIST/raw/train-labels-idx1-ubyte"),
    ],
    indirect=["small"],
)
def test_nothing_is_removed_when_it_cannot_be_replaced(tmp_path, no_server, small, path):
    small.put(tmp_path)
    load_download(small.name, tmp_path)
    small.put(tmp_path, **dict.fromkeys(small.archives, b"half"))
    (tmp_path / path).write_bytes(b"half")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(DataUnavailable):
        load_download(small.name, tmp_path)
    assert {file: file.read_bytes() for file in before} == before


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch, small):
    monkeypatch.setattr(downloads, "_CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        small.move_to(address, monkeypatch)
        with pytest.raises(DataUnavailable, match=r"could not be downloaded: timed out\. Put") as caught:
            load_download(small.name, tmp_path)
    check_remedies(str(caught.value), small, tmp_path, address)


def test_a_server_that_falls_silent_is_given_up(tmp_path, monkeypatch, server, small):
    monkeypatch.setattr(downloads, "_STALL_SECONDS", 0.1)
    server.goes_on.clear()
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: timed out\. Put") as caught:
        load_download(small.name, tmp_path)
    check_remedies(str(caught.value), small, tmp_path, server.address)


def test_a_server_that_does_not_have_it(tmp_path, server, small):
    server.files.clear()
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: Not Found\. Put") as caught:
        load_download(small.name, tmp_path)
    check_remedies(str(caught.value), small, tmp_path, server.address)


def test_a_server_of_something_else(tmp_path, monkeypatch, small):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        small.move_to(address, monkeypatch)

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DataUnavailable, match=r"could not be downloaded: SSH-2.0-OpenSSH_9.2\. Put") as caught:
            load_download(small.name, tmp_path)
        thread.join()
    check_remedies(str(caught.value), small, tmp_path, address)


@pytest.mark.parametrize(
    "damage", [lambda archive: archive[:-1], lambda archive: b"0" * len(archive)], ids=["cut short", "something else"]
)
def test_a_corrupt_download_is_an_error_and_the_next_attempt_gets_it_anew(tmp_path, server, small, damage):
    *_, last = small.archives
    server.files[last] = damage(small.archives[last])
    with pytest.raises(
        DataUnavailable, match=r"could not be downloaded: .*File not found or corrupted\. Put"
    ) as caught:
        load_download(small.name, tmp_path)
    check_remedies(str(caught.value), small, tmp_path, server.address)
    server.files = small.archives
    assert load_download(small.name, tmp_path).classes == small.classes


def test_a_folder_that_cannot_be_made(tmp_path, server, small):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match=r"could not be downloaded: .*Not a directory") as caught:
        load_download(small.name, tmp_path / "file" / "folder")
    check_remedies(str(caught.value), small, tmp_path / "file" / "folder", server.address)
    assert server.requests == []


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_the_patience_of_other_connections_stays_as_it_was(tmp_path, server, small, outcome):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(17.0)
    try:
        if outcome == "success":
            load_download(small.name, tmp_path)
        else:
            server.files = dict.fromkeys(small.archives, b"corrupt")
            with pytest.raises(DataUnavailable):
                load_download(small.name, tmp_path)
        assert socket.getdefaulttimeout() == 17.0
    finally:
        socket.setdefaulttimeout(before)


def test_processes_that_need_it_at_once_download_it_once(tmp_path, server, small):
    context = multiprocessing.get_context("fork")  # the children expect the small archives, too
    start, digests = context.Barrier(2), context.SimpleQueue()

    def load():
        start.wait()
        digests.put(load_download(small.name, tmp_path).digest)

    processes = [context.Process(target=load) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests == list_requests(list(small.archives))
    assert [digests.get(), digests.get()] == [load_download(small.name, tmp_path).digest] * 2


def test_what_another_process_downloaded_meanwhile_is_left_as_it_is(tmp_path, server, small, monkeypatch):
    def list_written():
        return {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if not file.name.endswith(".lock")}

    written = {}

    @contextmanager
    def hold_lock_after_another(path):
        monkeypatch.setattr(downloads, "hold_lock", hold_lock)
        load_download(small.name, tmp_path)
        written.update(list_written())
        with hold_lock(path):
            yield

    monkeypatch.setattr(downloads, "hold_lock", hold_lock_after_another)
    assert load_download(small.name, tmp_path).classes == small.classes
    assert written
    assert list_written() == written


def test_kept_in_data_dir_or_else_in_the_cache_folder(tmp_path, server, small, monkeypatch):
    monkeypatch.setenv("SWEEPS_DATA", str(tmp_path / "environment"))
    load_dataset(small.name, str(tmp_path / "asked"), tmp_path / "cache")
    load_dataset(small.name, None, tmp_path / "cache")
    load_dataset(small.name, None)
    for folder in ("asked", "cache", "environment"):
        assert all((tmp_path / folder / small.folder / name).exists() for name in small.archives)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "cache", "environment"]
