"""Wiring of the two-tower model's training."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.two_tower import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Processed rows to the two towers, the vectors of all users and items, test predictions, and the index."""
    return Pipeline(
        [
            Node(
                func=nodes.train_two_tower,
                inputs=[
                    "two_tower_train@path",
                    "two_tower_test@path",
                    "recsys2021_user_features@path",
                    "recsys2021_item_features@path",
                    "recsys2021_feature_spec",
                    "two_tower_checkpoints",
                    "two_tower_work",
                    "params:two_tower",
                    "params:distributed",
                    "params:seed",
                ],
                outputs=[
                    "two_tower_model",
                    "two_tower_user_embeddings",
                    "two_tower_item_embeddings",
                    "two_tower_test_predictions",
                    "two_tower_history",
                    "two_tower_ranks",
                    "two_tower_tensorboard",
                ],
                name="train_two_tower",
            ),
            Node(
                func=nodes.build_two_tower_index,
                inputs=["two_tower_model", "two_tower_item_embeddings", "two_tower_work", "params:two_tower"],
                outputs="two_tower_index",
                name="build_two_tower_index",
            ),
        ],
        tags=["two_tower", "recsys2021"],
    )
