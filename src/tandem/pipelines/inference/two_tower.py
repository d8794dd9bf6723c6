"""Wiring of the two-tower model's evaluation and report."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import two_tower_nodes as nodes


def create_two_tower_pipeline(**_: object) -> Pipeline:
    """Vectors, index and test predictions to the report."""
    return Pipeline(
        [
            Node(
                func=nodes.evaluate_two_tower_retrieval,
                inputs=[
                    "two_tower_index",
                    "two_tower_user_embeddings",
                    "two_tower_item_embeddings",
                    "recsys2021_user_features@path",
                    "recsys2021_item_features@path",
                    "two_tower_train@path",
                    "two_tower_test@path",
                    "params:two_tower",
                    "params:seed",
                ],
                outputs="two_tower_retrieval",
                name="evaluate_two_tower_retrieval",
            ),
            Node(
                func=nodes.report_two_tower,
                inputs=[
                    "two_tower_test_predictions",
                    "two_tower_retrieval",
                    "two_tower_train@path",
                    "two_tower_history",
                    "recsys2021_feature_spec",
                    "recsys2021_data_quality",
                    "params:two_tower",
                    "params:seed",
                ],
                outputs=[
                    "two_tower_metrics",
                    "two_tower_loss_curves",
                    "two_tower_comparison",
                    "two_tower_calibration",
                ],
                name="report_two_tower",
            ),
        ],
        tags=["two_tower", "recsys2021"],
    )
