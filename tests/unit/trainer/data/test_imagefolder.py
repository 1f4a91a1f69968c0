import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from trainer.data.dataset import DataUnavailable
from trainer.data.imagefolder import load_imagefolder
from trainer.data.load import load_dataset

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
ORIENTATION = 0x0112

# What has to be done to an image that is stored with each value of the EXIF tag, by the words of the standard.
UPRIGHT = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
    8: np.rot90,
}

LOAD = """
import sys
from pathlib import Path
from trainer.data.imagefolder import load_imagefolder
print("ready", flush=True)
sys.stdin.readline()
folder, cache = map(Path, sys.argv[1:])
print(load_imagefolder(folder, cache).digest, *(path.stat().st_mtime_ns for path in cache.glob("*/dataset.json")))
"""


def draw_quarters(side):
    """Red, green, blue and white quarters: no two ways of turning and mirroring look alike."""
    image = np.empty((side, side, 3), dtype=np.uint8)
    half = side // 2
    image[:half, :half], image[:half, half:], image[half:, :half], image[half:, half:] = RED, GREEN, BLUE, WHITE
    return image


def save_plain(path, colour, size=(32, 32), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)


def save_class_folders(folder):
    """Two classes, two training images and one test image each; a BMP file is as long whatever it shows."""
    for name, colour in (("cat", RED), ("dog", BLUE)):
        save_plain(folder / "train" / name / "1.bmp", colour)
        save_plain(folder / "train" / name / "2.bmp", BLACK)
        save_plain(folder / "test" / name / "1.bmp", colour)


@pytest.fixture
def folder(tmp_path):
    save_class_folders(tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def load(tmp_path, folder):
    return lambda: load_imagefolder(folder, tmp_path / "cache")


def decode_one(folder, load, name):
    """The image that was put beside the others as train/cat/0..., which comes first."""
    assert min((folder / "train" / "cat").iterdir()).name == name
    return load().train_images_NHWC[0]


def list_cache(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock"))


def test_images_and_labels_in_the_order_of_class_and_file_name(folder, load):
    save_plain(folder / "train" / "ant" / "10.png", GREEN)
    save_plain(folder / "train" / "ant" / "9.png", WHITE)
    save_plain(folder / "test" / "ant" / "1.png", GREEN)
    data = load()
    assert data.name == "imagefolder"
    assert data.classes == ("ant", "cat", "dog")
    assert data.train_labels_N.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.test_labels_N.tolist() == [0, 1, 2]
    colours = [tuple(each) for each in data.train_images_NHWC[:, 16, 16].tolist()]
    assert colours == [GREEN, WHITE, RED, BLACK, BLUE, BLACK]
    assert data.test_images_NHWC[:, 16, 16].tolist() == [list(GREEN), list(RED), list(BLUE)]


def test_arrays_are_as_every_dataset_has_them(load):
    data = load()
    assert data.train_images_NHWC.shape == (4, 32, 32, 3)
    assert data.test_images_NHWC.shape == (2, 32, 32, 3)
    assert data.train_images_NHWC.dtype == data.test_images_NHWC.dtype == np.uint8
    assert data.train_labels_N.dtype == data.test_labels_N.dtype == np.int64


def test_the_order_in_which_files_were_made_makes_no_difference(tmp_path, folder, load):
    for name in ("dog", "cat"):
        for number in (2, 1):
            shutil.copy2(folder / "train" / name / f"{number}.bmp", folder / "train" / name / f"{number + 4}.bmp")
    other = tmp_path / "other"
    for path in sorted(folder.rglob("*.bmp"), reverse=True):
        (other / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, other / path.relative_to(folder))
    assert load_imagefolder(other, tmp_path / "cache").digest == load().digest


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (5, 7), (64, 64), (300, 200), (33, 500)])
def test_a_plain_image_keeps_its_colour_in_any_size(folder, load, size):
    save_plain(folder / "train" / "cat" / "0.png", (200, 100, 50), size)
    assert (decode_one(folder, load, "0.png") == (200, 100, 50)).all()


def test_an_image_of_32_pixels_stays_as_it_is(folder, load):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "train" / "cat" / "0.png")
    assert np.array_equal(decode_one(folder, load, "0.png"), pixels)


def test_an_image_of_another_shape_is_stretched(folder, load):
    pixels = np.full((20, 128, 3), RED, dtype=np.uint8)
    pixels[:, 64:] = BLUE
    Image.fromarray(pixels).save(folder / "train" / "cat" / "0.png")
    image_HWC = decode_one(folder, load, "0.png")
    assert (image_HWC[:, :12] == RED).all()
    assert (image_HWC[:, 20:] == BLUE).all()


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".png", ".PNG", ".ppm", ".tif", ".tiff"])
def test_formats_without_loss_keep_colours(folder, load, suffix):
    save_plain(folder / "train" / "cat" / f"0{suffix}", (0, 102, 51), (40, 50))
    assert (decode_one(folder, load, f"0{suffix}") == (0, 102, 51)).all()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".webp"])
def test_formats_with_loss_nearly_keep_colours(folder, load, suffix):
    save_plain(folder / "train" / "cat" / f"0{suffix}", (200, 100, 50), (640, 480))
    assert np.abs(decode_one(folder, load, f"0{suffix}").astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize(("mode", "expected"), [("L", (76, 76, 76)), ("RGBA", RED), ("P", RED), ("1", BLACK)])
def test_modes_become_rgb(folder, load, mode, expected):
    pixels = Image.new("RGB", (40, 40), RED if mode != "1" else BLACK).convert(mode)
    pixels.save(folder / "train" / "cat" / "0.png")
    assert (decode_one(folder, load, "0.png") == expected).all()


def test_a_transparent_image_is_taken_without_its_transparency(folder, load):
    Image.new("RGBA", (40, 40), (*GREEN, 128)).save(folder / "train" / "cat" / "0.png")
    assert (decode_one(folder, load, "0.png") == GREEN).all()


def test_a_palette_with_transparency_is_no_matter(folder, load):
    image = Image.new("RGB", (40, 40), GREEN).convert("P")
    image.info["transparency"] = bytes(range(0, 256, 2))
    image.save(folder / "train" / "cat" / "0.png")
    assert (decode_one(folder, load, "0.png") == GREEN).all()


def test_a_cmyk_jpeg_becomes_rgb(folder, load):
    save_plain(folder / "train" / "cat" / "0.jpg", (200, 100, 50), (64, 64), mode="CMYK")
    assert np.abs(decode_one(folder, load, "0.jpg").astype(int) - (200, 100, 50)).max() <= 4


def test_grey_of_16_bits_keeps_its_shades(folder, load):
    shades = (np.arange(32 * 32).reshape(32, 32) * 64).astype(np.uint16)
    Image.fromarray(shades).save(folder / "train" / "cat" / "0.png")
    image_HWC = decode_one(folder, load, "0.png")
    assert np.array_equal(image_HWC, np.repeat((shades // 256).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("tag", UPRIGHT)
def test_a_turned_image_is_turned_upright(folder, load, tag):
    exif = Image.Exif()
    exif[ORIENTATION] = tag
    Image.fromarray(draw_quarters(32)).save(folder / "train" / "cat" / "0.png", exif=exif)
    assert np.array_equal(decode_one(folder, load, "0.png"), UPRIGHT[tag](draw_quarters(32)))


@pytest.mark.parametrize("side", [32, 40, 64, 256])
def test_a_turned_jpeg_is_turned_upright_in_any_size(folder, load, side):
    # The decoder makes 64 and 256 pixels into 32 on its own.
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(draw_quarters(side)).save(folder / "train" / "cat" / "0.jpg", exif=exif, quality=95)
    image_HWC = decode_one(folder, load, "0.jpg").astype(int)
    for row, column in [(8, 8), (8, 24), (24, 8), (24, 24)]:
        assert np.abs(image_HWC[row, column] - UPRIGHT[6](draw_quarters(32))[row, column]).max() < 30


def test_hidden_files_and_folders_are_passed_over(folder, load):
    before = load().digest
    (folder / "train" / ".DS_Store").write_text("")
    (folder / "train" / "cat" / "._1.bmp").write_text("")
    (folder / "test" / ".thumbnails").mkdir()
    assert load().digest == before


def test_a_link_to_an_image_is_an_image(tmp_path, folder, load):
    save_plain(tmp_path / "elsewhere.png", GREEN)
    (folder / "train" / "cat" / "0.png").symlink_to(tmp_path / "elsewhere.png")
    assert (decode_one(folder, load, "0.png") == GREEN).all()


def remove_train(folder):
    shutil.rmtree(folder / "train")


def remove_test(folder):
    shutil.rmtree(folder / "test")


def add_train_class(folder):
    save_plain(folder / "train" / "eel" / "1.png", GREEN)


def rename_test_class(folder):
    (folder / "test" / "dog").rename(folder / "test" / "dogs")


def remove_a_class(folder):
    for part in ("train", "test"):
        shutil.rmtree(folder / part / "dog")


def add_file_among_classes(folder):
    (folder / "train" / "labels.csv").write_text("")


def empty_a_class(folder):
    for path in (folder / "train" / "dog").iterdir():
        path.unlink()


def add_text_files(folder):
    for number in range(7):
        (folder / "test" / "cat" / f"notes{number}.txt").write_text("")


def add_a_folder_of_images(folder):
    save_plain(folder / "test" / "cat" / "more" / "1.png", RED)


def add_a_link_to_nothing(folder):
    (folder / "train" / "cat" / "3.png").symlink_to(folder / "gone.png")


@pytest.mark.parametrize(
    ("break_layout", "words"),
    [
        (remove_train, ["images/train is not a folder", "train/<class>/<images> and test/<class>/<images>"]),
        (remove_test, ["images/test is not a folder", "train/<class>/<images> and test/<class>/<images>"]),
        (add_train_class, ["different classes (only in train: eel)", "give both the same class folders"]),
        (rename_test_class, ["different classes (only in train: dog; only in test: dogs)"]),
        (remove_a_class, ["images/train has 1 class folders", "put at least 2 into it"]),
        (add_file_among_classes, ["train/labels.csv is a file", "only class folders belong there, move it elsewhere"]),
        (empty_a_class, ["train/dog has no images", "put some into it or remove the folder"]),
        (
            add_text_files,
            [
                "test/cat has 7 files that are no images: notes0.txt, notes1.txt, notes2.txt, notes3.txt, notes4.txt "
                "and 2 more; remove them (images end in .bmp, .gif, .jpeg,"
            ],
        ),
        (add_a_folder_of_images, ["test/cat has 1 files that are no images: more; remove them"]),
        (
            add_a_link_to_nothing,
            ["images cannot be read", "train/cat/3.png", "make what it names readable or remove"],
        ),
    ],
)
def test_a_fault_of_the_layout_says_where_and_what_to_do(folder, load, break_layout, words):
    break_layout(folder)
    with pytest.raises(DataUnavailable) as caught:
        load()
    for each in words:
        assert each in str(caught.value)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def write_text(path):
    path.write_text("not an image")


def write_nothing(path):
    path.write_bytes(b"")


def make_folder(path):
    path.unlink()
    path.mkdir()


def claim_a_giant(path):
    """The header says that there are 4,000,000,000 pixels."""
    content = path.read_bytes()
    path.write_bytes(content[:18] + struct.pack("<ii", 80_000, 50_000) + content[26:])


def write_a_broken_exif_tag(path):
    """A turned image whose EXIF tags give its width as a text."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "abc"
    Image.new("RGB", (40, 40), RED).save(path, "JPEG", exif=exif)
    path.write_bytes(path.read_bytes().replace(b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02", 1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut_short, "image file is truncated"),
        (write_text, "cannot identify image file"),
        (write_nothing, "cannot identify image file"),
        (make_folder, "Is a directory"),
        (claim_a_giant, "exceeds limit of"),
        (write_a_broken_exif_tag, "required argument is not an integer"),
    ],
)
def test_an_image_that_cannot_be_read_is_named_with_the_reason(tmp_path, folder, load, spoil, reason):
    spoil(folder / "test" / "dog" / "1.bmp")
    with pytest.raises(DataUnavailable, match=r"1 images of .*/images cannot be read: test/dog/1\.bmp") as caught:
        load()
    assert reason in str(caught.value)
    assert str(caught.value).endswith("; replace or remove them")
    assert str(caught.value).count(str(tmp_path)) == 1
    assert list_cache(tmp_path) == []


def test_of_many_images_that_cannot_be_read_five_are_named(folder, load):
    for number in range(1, 9):
        (folder / "train" / "cat" / f"{number}.png").write_text("not an image")
    with pytest.raises(DataUnavailable, match=r"^8 images of") as caught:
        load()
    assert "train/cat/5.png (cannot identify image file) and 3 more; replace" in str(caught.value)
    assert "train/cat/6.png" not in str(caught.value)


def test_a_replaced_image_makes_the_folder_good(folder, load):
    before = load().digest
    content = (folder / "train" / "cat" / "1.bmp").read_bytes()
    (folder / "train" / "cat" / "1.bmp").write_text("not an image")
    with pytest.raises(DataUnavailable):
        load()
    (folder / "train" / "cat" / "1.bmp").write_bytes(content)
    assert load().digest == before


def repaint(path, colour, *, keep_time):
    """Shows another colour with as many bytes as before."""
    before = path.stat()
    save_plain(path, colour)
    assert path.stat().st_size == before.st_size
    time = before.st_mtime_ns if keep_time else before.st_mtime_ns + 1_000_000
    os.utime(path, ns=(time, time))


def test_the_second_time_images_come_from_the_cache(folder, load):
    first = load()
    for path in folder.rglob("*.bmp"):  # decoded again, they would be green
        repaint(path, GREEN, keep_time=True)
    second = load()
    assert second.digest == first.digest
    assert second.classes == first.classes
    assert second.name == first.name
    for name in ("train_images_NHWC", "train_labels_N", "test_images_NHWC", "test_labels_N"):
        assert np.array_equal(getattr(second, name), getattr(first, name))
        assert getattr(second, name).dtype == getattr(first, name).dtype


def test_another_cache_folder_has_its_own_images(tmp_path, folder, load):
    load()
    repaint(folder / "train" / "cat" / "1.bmp", GREEN, keep_time=True)
    assert (load_imagefolder(folder, tmp_path / "other").train_images_NHWC[0] == GREEN).all()


def test_an_image_changed_later_is_decoded_anew_and_the_old_cache_removed(tmp_path, folder, load):
    first, cached = load(), list_cache(tmp_path)
    repaint(folder / "test" / "dog" / "1.bmp", GREEN, keep_time=False)
    second = load()
    assert (second.test_images_NHWC[1] == GREEN).all()
    assert second.digest != first.digest
    assert len(cached) == len(list_cache(tmp_path)) == 1
    assert list_cache(tmp_path) != cached


def test_an_image_of_another_size_is_noticed_whatever_its_time(folder, load):
    load()
    path = folder / "test" / "dog" / "1.bmp"
    time = path.stat().st_mtime_ns
    save_plain(path, GREEN, (32, 31))
    os.utime(path, ns=(time, time))
    assert (load().test_images_NHWC[1] == GREEN).all()


def test_an_image_added_or_removed_is_noticed(folder, load):
    assert len(load().train_labels_N) == 4
    save_plain(folder / "train" / "cat" / "3.png", GREEN)
    assert len(load().train_labels_N) == 5
    (folder / "train" / "dog" / "2.bmp").unlink()
    assert load().train_labels_N.tolist() == [0, 0, 0, 1]


def test_an_image_moved_to_another_class_is_noticed(folder, load):
    load()
    (folder / "train" / "dog" / "2.bmp").rename(folder / "train" / "cat" / "3.bmp")
    assert load().train_labels_N.tolist() == [0, 0, 0, 1]


def test_caches_of_two_folders_live_side_by_side(tmp_path, folder, load):
    other = shutil.copytree(folder, tmp_path / "other")
    repaint(other / "train" / "cat" / "1.bmp", GREEN, keep_time=False)
    digests = load().digest, load_imagefolder(other, tmp_path / "cache").digest
    assert len(list_cache(tmp_path)) == 2
    assert digests[0] != digests[1]
    for path in tmp_path.rglob("1.bmp"):
        repaint(path, WHITE, keep_time=True)
    assert (load().digest, load_imagefolder(other, tmp_path / "cache").digest) == digests


def test_one_folder_by_two_ways_has_one_cache(tmp_path, folder, load):
    (tmp_path / "link").symlink_to(folder)
    assert load_imagefolder(tmp_path / "link", tmp_path / "cache").digest == load().digest
    assert len(list_cache(tmp_path)) == 1


def test_the_cache_is_read_without_unpickling(tmp_path, load):
    data = load()
    (cached,) = (tmp_path / "cache" / name for name in list_cache(tmp_path))
    assert json.loads((cached / "dataset.json").read_text()) == {"classes": ["cat", "dog"], "digest": data.digest}
    assert np.load(cached / "train_labels_N.npy", allow_pickle=False).tolist() == [0, 0, 1, 1]


def test_a_cache_folder_that_cannot_be_made(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match=r"cannot be kept in .*/file/cache: .*; set SWEEPS_DATA to a folder that"):
        load_imagefolder(folder, tmp_path / "file" / "cache")


def test_processes_that_start_at_once_have_the_same_images(tmp_path, folder):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "train" / "cat" / "3.png")
    for number in range(4, 300):
        os.link(folder / "train" / "cat" / "3.png", folder / "train" / "cat" / f"{number}.png")
    command = [sys.executable, "-c", LOAD, folder, tmp_path / "cache"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:  # both at once, now that both are up
        process.stdin.write("go\n")
        process.stdin.flush()
    # The digest, and when the cache was written that each of them left behind: one made it, the other took it.
    (digest, written), other = (process.communicate()[0].split() for process in processes)
    assert other == [digest, written]
    assert digest == load_imagefolder(folder, tmp_path / "alone").digest
    assert len(list_cache(tmp_path)) == 1


def test_load_dataset_keeps_decoded_images_where_the_environment_says(tmp_path, folder, monkeypatch, load):
    monkeypatch.setenv("SWEEPS_DATA", str(tmp_path / "environment"))
    assert load_dataset("imagefolder", str(folder)).digest == load().digest
    assert any((tmp_path / "environment").iterdir())


def test_file_names_that_are_not_utf8_are_taken(folder, load):
    (folder / "train" / "cat" / "1.bmp").rename(folder / "train" / "cat" / os.fsdecode(b"caf\xe9.bmp"))
    assert load().train_images_NHWC.shape[0] == 4
    assert load().digest == load().digest  # from the cache too


def test_a_faulty_file_whose_name_is_not_utf8_is_named_with_escapes(folder, load):
    (folder / "train" / "cat" / os.fsdecode(b"caf\xe9.png")).write_text("not an image")
    with pytest.raises(DataUnavailable, match=r"train/cat/caf\\xe9\.png \(cannot identify") as caught:
        load()
    str(caught.value).encode()


def test_a_class_whose_name_is_not_utf8_is_refused(folder, load):
    for part in ("train", "test"):
        (folder / part / "cat").rename(folder / part / os.fsdecode(b"c\xe4t"))
    with pytest.raises(DataUnavailable, match=r"class folder .*/train/c\\xe4t has a name that is not UTF-8; rename it"):
        load()


def test_a_class_or_a_part_of_one_colour_is_named(folder, load):
    save_plain(folder / "test" / "dog" / "2.bmp", BLUE)
    with pytest.raises(DataUnavailable, match=r"images: test/dog \(red 0, green 0, blue 255\); look at them"):
        load()
    save_plain(folder / "test" / "dog" / "2.bmp", BLACK)
    load()
    for path in (folder / "test").rglob("*.bmp"):
        save_plain(path, BLACK)
    with pytest.raises(DataUnavailable, match=r"images: test \(red 0, green 0, blue 0\); look at them"):
        load()
