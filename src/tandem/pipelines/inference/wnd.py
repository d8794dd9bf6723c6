"""Wiring of Wide & Deep's predictions and report."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import wnd_nodes as nodes


def create_wnd_pipeline(**_: object) -> Pipeline:
    """The trained Wide & Deep's predictions of the test rows, and its report."""
    return Pipeline(
        [
            Node(
                func=nodes.predict_wnd_test,
                inputs=["wnd_model", "recsys2021_feature_spec", "wnd_test@spark"],
                outputs="wnd_test_predictions@spark",
                name="predict_wnd_test",
            ),
            Node(
                func=nodes.report_wnd,
                inputs=[
                    "wnd_model",
                    "wnd_test_predictions@path",
                    "wnd_train@path",
                    "recsys2021_feature_spec",
                    "recsys2021_data_quality",
                    "wnd_baselines",
                    "wnd_history",
                    "params:seed",
                ],
                outputs=["wnd_metrics", "wnd_loss_curves", "wnd_comparison", "wnd_calibration"],
                name="report_wnd",
            ),
        ],
        tags=["wnd", "recsys2021"],
    )
