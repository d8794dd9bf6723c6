"""Wiring of Wide & Deep's training."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.wnd_training import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Processed rows to the model, its history, and the baselines' metrics."""
    return Pipeline(
        [
            Node(
                func=nodes.train_wnd,
                inputs=[
                    "wnd_train@path",
                    "recsys2021_feature_spec",
                    "wnd_checkpoints",
                    "wnd_work",
                    "params:wnd",
                    "params:distributed",
                    "params:seed",
                ],
                outputs=["wnd_model", "wnd_history", "wnd_ranks", "wnd_tensorboard"],
                name="train_wnd",
            ),
            Node(
                func=nodes.evaluate_wnd_baselines,
                inputs=["wnd_train@path", "wnd_test@path", "recsys2021_feature_spec", "params:wnd", "params:seed"],
                outputs="wnd_baselines",
                name="evaluate_wnd_baselines",
            ),
        ],
        tags=["wnd", "recsys2021"],
    )
