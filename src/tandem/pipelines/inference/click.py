"""Wiring of a click model's predictions and report."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import click_nodes as nodes


def inference_pipeline(model: str, *tags: str) -> Pipeline:
    """The trained model's predictions of the test rows, and its report; tags: beside the model's own name."""
    return Pipeline(
        [
            Node(
                func=nodes.predict_click_test,
                inputs=[f"{model}_model", "recsys2021_feature_spec", "wnd_test@spark"],
                outputs=f"{model}_test_predictions@spark",
                name=f"predict_{model}_test",
            ),
            Node(
                func=nodes.report_on(model),
                inputs=[
                    f"{model}_model",
                    f"{model}_test_predictions@path",
                    "wnd_train@path",
                    "recsys2021_data_quality",
                    f"{model}_baselines",
                    f"{model}_history",
                    "click_reports",
                    "params:seed",
                ],
                outputs=[f"{model}_metrics", f"{model}_loss_curves", f"{model}_comparison", f"{model}_calibration"],
                name=f"report_{model}",
            ),
        ],
        tags=[model, *tags],
    )
