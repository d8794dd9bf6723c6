import numpy as np
import pytest
import tensorflow as tf

from tandem.models.two_tower.losses import (
    Positives,
    correct_sampling,
    cross_entropy,
    gather_candidates,
    pointwise_loss,
    remove_accidental_hits,
    softmax_loss,
)
from tandem.parameters import SoftmaxParameters

USERS, ITEMS, DIM = 5, 6, 4
ROWS = [(0, 0), (1, 0), (2, 1), (0, 3), (3, 4), (4, 3), (2, 5)]
"""(user, item): users 0 and 2 took two items, items 0 and 3 stand in two rows, item 2 in none."""
PLAIN = SoftmaxParameters(temperature=0.5, correct_sampling=False, remove_accidental_hits=False)
FULL = SoftmaxParameters(temperature=0.5)
PROBABILITIES = np.array([0.9, 0.5, 0.1, 0.7, 0.2, 0.05], np.float32)


def positives_of(rows, users, items):
    """A rank's rows, its users and items in an order of their own, with keys that are not their numbers."""
    user_ids, item_ids = (list(dict.fromkeys(ids)) for ids in zip(*rows, strict=True))
    return Positives(
        tf.gather(users, user_ids),
        tf.gather(items, item_ids),
        tf.constant([user_ids.index(user) for user, _ in rows]),
        tf.constant([item_ids.index(item) for _, item in rows]),
        tf.constant([-user * 7 for user in user_ids], tf.int64),
        tf.constant([1000 - item * 3 for item in item_ids], tf.int64),
        tf.gather(PROBABILITIES, item_ids),
    )


def same(rows, name):
    return rows


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return [tf.Variable(rng.normal(size=(n, DIM)).astype(np.float32)) for n in (USERS, ITEMS)]


def by_hand(users, items, parameters):
    """The definition, row by row, in NumPy."""
    in_batch = sorted({item for _, item in ROWS})
    total = 0.0
    for user, item in ROWS:
        exps = {}
        for candidate in in_batch:
            if parameters.remove_accidental_hits and candidate != item and (user, candidate) in ROWS:
                continue
            logit = float(users[user] @ items[candidate]) / parameters.temperature
            exps[candidate] = np.exp(logit) / (PROBABILITIES[candidate] if parameters.correct_sampling else 1.0)
        total -= np.log(exps[item] / sum(exps.values()))
    return total


@pytest.mark.parametrize(
    "parameters", [PLAIN, FULL, FULL.model_copy(update={"correct_sampling": False})], ids=["plain", "full", "hits"]
)
def test_softmax_is_the_definition_row_by_row(vectors, parameters):
    users, items = (one.numpy() for one in vectors)
    loss = softmax_loss(positives_of(ROWS, *vectors), parameters, same)
    assert float(loss) == pytest.approx(by_hand(users, items, parameters), rel=1e-5)


def test_candidates_are_distinct_items_and_hits_the_users_others(vectors):
    candidates = gather_candidates(positives_of(ROWS, *vectors), same)
    assert candidates.vectors.shape == (5, DIM)
    found = [candidates.vectors[column].numpy().tolist() for column in candidates.columns]
    assert found == [vectors[1][item].numpy().tolist() for _, item in ROWS]
    assert candidates.taken.numpy().sum(1).tolist() == [1, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_the_ranks_of_a_batch_add_up_to_one_rank(vectors, cut):
    """Loss and gradient: each rank sees what the others hold, here by gathering in one process."""

    def gathered(parts):
        ranks = [positives_of(rows, *vectors) for rows in parts]
        columns = {
            int(key): column for column, key in enumerate(tf.unique(tf.concat([r.item_keys for r in ranks], 0))[0])
        }
        everything = {
            "item_keys": [rank.item_keys for rank in ranks],
            "item_vectors": [rank.item_vectors for rank in ranks],
            "item_probabilities": [rank.item_probabilities for rank in ranks],
            "user_keys": [tf.gather(rank.user_keys, rank.users) for rank in ranks],
            "columns": [[columns[int(rank.item_keys[item])] for item in rank.items] for rank in ranks],
        }
        return sum(softmax_loss(rank, FULL, lambda own, name: tf.concat(everything[name], 0)) for rank in ranks)

    with tf.GradientTape(persistent=True) as tape:
        whole, parts = gathered([ROWS]), gathered([ROWS[:cut], ROWS[cut:]])
    assert float(whole) == pytest.approx(float(parts), rel=1e-5)
    for expected, found in zip(tape.gradient(whole, vectors), tape.gradient(parts, vectors), strict=True):
        assert np.allclose(tf.convert_to_tensor(expected), tf.convert_to_tensor(found), atol=1e-5)


def test_the_corrected_sum_over_a_sample_is_on_average_the_sum_over_all_items():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(1, ITEMS)).astype(np.float32)
    corrected = np.exp(correct_sampling(tf.constant(logits), PROBABILITIES).numpy()[0])
    drawn = rng.random((200_000, ITEMS)) < PROBABILITIES
    assert (drawn @ corrected).mean() == pytest.approx(np.exp(logits).sum(), rel=0.02)


def test_hits_get_no_share():
    logits = tf.constant([[1.0, 2.0, 3.0]])
    kept = remove_accidental_hits(logits, tf.constant([[False, True, False]]))
    assert float(cross_entropy(kept, tf.constant([2]))) == pytest.approx(np.log1p(np.exp(-2.0)))


def test_pointwise_is_cross_entropy_of_the_scaled_product():
    products, labels = np.array([0.3, -0.8, 1.0]), np.array([1.0, 0.0, 1.0])
    probabilities = 1.0 / (1.0 + np.exp(-(4.0 * products - 0.5)))
    expected = -(labels * np.log(probabilities) + (1 - labels) * np.log(1 - probabilities)).sum()
    loss = pointwise_loss(tf.constant(products), tf.constant(labels), tf.constant(4.0, tf.float64), -0.5)
    assert float(loss) == pytest.approx(expected)


def test_a_negative_cosine_has_a_gradient_and_its_scale_and_bias_too():
    """The reference took the cosine for a probability: clipped, so that a negative one learnt nothing."""
    product, scale, bias = tf.Variable([-0.4]), tf.Variable(5.0), tf.Variable(0.0)
    with tf.GradientTape() as tape:
        loss = pointwise_loss(product, tf.constant([1]), scale, bias)
    assert all(abs(float(tf.reduce_sum(one))) > 0.1 for one in tape.gradient(loss, [product, scale, bias]))
    with tf.GradientTape() as tape:
        reference = tf.keras.losses.binary_crossentropy(tf.constant([1.0]), product)
    assert float(tape.gradient(reference, product)[0]) == 0.0
