"""What lies beside a table's files: marks of Spark, links, what is no Parquet; and harm that is done to the files."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.odd_columns import Draw, pick


def success(_rng: Draw, place: Path) -> None:
    (place / "_SUCCESS").write_bytes(b"")
    (place / "._SUCCESS.crc").write_bytes(b"crc")


def hidden(rng: Draw, place: Path) -> None:
    """A file that nobody means: of an editor, of a job that broke off."""
    path = place / pick(rng, (".part-9.parquet", "_temporary/0/part-9.parquet", ".hidden/part-9.parquet", "_x.parquet"))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"user_id": [99], "item_id": [99], "timestamp": [99]}), path)


def linked_file(_rng: Draw, place: Path) -> None:
    """The first file lies elsewhere."""
    file = min(path for path in place.rglob("*.parquet") if path.is_file())
    other = place.parent.parent / f"elsewhere {place.name}"
    if not other.exists():
        file.rename(other)
        file.symlink_to(other)


def linked_folder(_rng: Draw, place: Path) -> None:
    """A folder of the table lies elsewhere."""
    other = place.parent.parent / f"folder of {place.stem}"
    other.mkdir()
    file = min(path for path in place.rglob("*.parquet") if path.is_file())
    if file.is_symlink():
        return
    file.rename(other / file.name)
    (place / "day=9").symlink_to(other)


def broken_link(_rng: Draw, place: Path) -> None:
    (place / "gone.parquet").symlink_to(place.parent / "nowhere.parquet")


def link_in_a_circle(_rng: Draw, place: Path) -> None:
    (place / "day=8").symlink_to(place)


def no_parquet(rng: Draw, place: Path) -> None:
    (place / pick(rng, ("notes.txt", "part-0.csv", "part-7.PARQUET", "README"))).write_bytes(b"text")


def no_bytes(_rng: Draw, place: Path) -> None:
    (place / "part-8.parquet").write_bytes(b"")


def delta(_rng: Draw, place: Path) -> None:
    (place / "_delta_log").mkdir()
    (place / "_delta_log" / "00000000000000000000.json").write_text('{"commitInfo":{}}\n')


def stale_checksum(_rng: Draw, place: Path) -> None:
    """Hadoop's checksum of what the file was before somebody replaced it."""
    file = min(path for path in place.rglob("*.parquet") if path.is_file())
    (file.parent / f".{file.name}.crc").write_bytes(b"crc\x00\x00\x00\x02\x00" + b"\x12\x34\x56\x78")


def damage_one(rng: Draw, folder: Path) -> tuple[str, Callable[[], Path]]:
    """Bytes of one file of the log are cut off or changed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.endswith(".parquet"))
    path = pick(rng, files)
    content = path.read_bytes()
    how = pick(rng, ("cut", "flip", "flip", "flip", "magic"))
    place = int(rng.integers(4, max(len(content) - 8, 5)))
    if how == "flip" and len(content) > 12:
        body = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        place = int(rng.integers(4, max(body, 5)))

    def damage() -> Path:
        if how == "cut":
            path.write_bytes(content[:place])
        elif how == "magic":
            path.write_bytes(content[:-4] + b"PARX")
        else:
            path.write_bytes(
                content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]
            )
        return path

    return f"damage: {how}", damage


HARMLESS_PLACES = (success, hidden, linked_file)
ODD_PLACES = (linked_folder, broken_link, link_in_a_circle, no_parquet, no_bytes, delta, stale_checksum)
