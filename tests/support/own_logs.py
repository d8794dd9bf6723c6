"""A log of one's own as the parameters of a run."""

from pathlib import Path

COLUMNS = {"user": "user_id", "item": "item_id", "time": "timestamp"}


def own_log(folder: Path, file: str = "interactions.parquet") -> str:
    """What ``--params`` says of a Parquet file with the columns user_id, item_id and timestamp."""
    roles = [f"tables.interactions.{role}={column}" for role, column in COLUMNS.items()]
    return ",".join(["data=tables", f"tables.path={folder}", f"tables.interactions.file={file}", *roles])
