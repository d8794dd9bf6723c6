"""Wiring of a click model's training."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.wnd_training import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Processed rows to Wide & Deep, its history, and the baselines' metrics."""
    return training_pipeline("wnd", "recsys2021")


def training_pipeline(model: str, *tags: str) -> Pipeline:
    """Processed rows to a click model, its history, and the baselines' metrics; tags: beside the model's own name.

    The rows are the same for every click model: those of RecSys 2021, which have the name of the first.
    """
    return Pipeline(
        [
            Node(
                func=nodes.train(model),
                inputs=[
                    "wnd_train@path",
                    "recsys2021_feature_spec",
                    f"{model}_checkpoints",
                    f"{model}_work",
                    f"params:{model}",
                    "params:distributed",
                    "params:seed",
                ],
                outputs=[f"{model}_model", f"{model}_history", f"{model}_ranks", f"{model}_tensorboard"],
                name=f"train_{model}",
            ),
            Node(
                func=nodes.evaluate_baselines(model),
                inputs=["wnd_train@path", "wnd_test@path", "recsys2021_feature_spec", f"params:{model}", "params:seed"],
                outputs=f"{model}_baselines",
                name=f"evaluate_{model}_baselines",
            ),
        ],
        tags=[model, *tags],
    )
