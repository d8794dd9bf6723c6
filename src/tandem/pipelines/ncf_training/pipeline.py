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
                    "ncf.train@path",
                    "ncf.user_features@path",
                    "ncf.item_features@path",
                    "ncf.feature_spec",
                    "ncf.checkpoints",
                    "ncf.work",
                    "params:ncf",
                    "params:distributed",
                    "params:seed",
                ],
                outputs=["ncf.model", "ncf.history", "ncf.ranks", "ncf.tensorboard"],
                name="train_ncf",
            ),
            Node(
                func=nodes.evaluate_ncf_baselines,
                inputs=["ncf.interactions@arrow", "ncf.test_candidates@arrow", "params:ncf", "params:seed"],
                outputs="ncf.baselines",
                name="evaluate_ncf_baselines",
            ),
        ],
        tags="ncf",
    )
