"""What rows say of users: whom the training rows know, and which items they were shown."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tandem.storage.locations import Location, Places
from tandem.storage.parquet import read_table, scan


def seen_items(shown: Places, users: pa.Array, items: pa.Array) -> sparse.csr_matrix:
    """bool [users, items], true where a row (``user_id``, ``tweet_id``) has them, whatever its label.

    The rows are read a batch at a time; those of other users and items are passed over.
    """
    pairs = [np.empty((2, 0), np.int32)]
    for batch in scan(shown, ["user_id", "tweet_id"]):
        user = pc.index_in(batch.column("user_id"), value_set=users)
        item = pc.index_in(batch.column("tweet_id"), value_set=items)
        both = pc.and_(pc.is_valid(user), pc.is_valid(item))
        pairs.append(np.stack([user.filter(both).to_numpy(), item.filter(both).to_numpy()]))
    rows, columns = np.concatenate(pairs, axis=1)
    matrix = sparse.csr_matrix((np.ones(len(rows), np.bool_), (rows, columns)), (len(users), len(items)))
    matrix.sum_duplicates()
    return matrix


def known_users(user_features: Location, users: pa.Array) -> npt.NDArray[np.bool_]:
    """Which of the users have an id above 0 in the feature table, bool [users]: in enough training rows for one."""
    table = read_table(user_features, columns=["user_id", "user"])
    trained = table.filter(pc.greater(table.column("user"), 0)).column("user_id").combine_chunks()
    return np.asarray(pc.is_in(users, value_set=trained).to_numpy(zero_copy_only=False), np.bool_)
