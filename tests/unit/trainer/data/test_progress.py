import queue
from pathlib import Path

from trainer.data.progress import watch_files


def test_a_download_is_told_in_megabytes_while_it_grows_and_unpacking_after_it(tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()
    file = tmp_path / "archive"
    with watch_files([file], 4_000_000, told.put):
        assert told.get(timeout=60) == "0 of 4 MB"
        file.write_bytes(bytes(4_000_000))
        while (words := told.get(timeout=60)) == "0 of 4 MB":
            pass
        assert words == "unpacking"


def test_a_server_that_does_not_say_how_much_there_is(tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()
    file = tmp_path / "archive"
    file.write_bytes(bytes(2_000_000))
    with watch_files([file], None, told.put):
        assert told.get(timeout=60) == "2 MB"
