"""Wiring of NCF's training."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.ncf_training import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Processed rows to the model, its history, and the baselines' metrics."""
    return Pipeline(
        [
            Node(
                func=nodes.train_ncf,
                inputs=[
                    "ncf_train@path",
                    "ncf_test@path",
                    "ncf_user_features@path",
                    "ncf_item_features@path",
                    "ncf_feature_spec",
                    "ncf_checkpoints",
                    "ncf_work",
                    "params:ncf",
                    "params:distributed",
                    "params:data",
                    "params:seed",
                ],
                outputs=["ncf_model", "ncf_history", "ncf_ranks", "ncf_tensorboard"],
                name="train_ncf",
            ),
            Node(
                func=nodes.evaluate_ncf_baselines,
                inputs=["ncf_interactions@path", "ncf_test_candidates@path", "params:ncf", "params:seed"],
                outputs="ncf_baselines",
                name="evaluate_ncf_baselines",
            ),
        ],
        tags="ncf",
    )
