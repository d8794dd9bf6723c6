"""Wiring of inference and reports."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import nodes
from tandem.pipelines.inference.click import inference_pipeline
from tandem.pipelines.inference.recommendations import create_recommendations_pipeline
from tandem.pipelines.inference.two_tower import create_two_tower_pipeline


def create_pipeline(**_: object) -> Pipeline:
    """Predictions, lists and reports of NCF, Wide & Deep and the two-tower model."""
    click = inference_pipeline("wnd", "recsys2021")
    return create_ncf_pipeline() + click + create_two_tower_pipeline() + create_recommendations_pipeline()


def create_ncf_pipeline() -> Pipeline:
    """The trained NCF's predictions, lists and report."""
    return Pipeline(
        [
            Node(
                func=nodes.predict_ncf_test,
                inputs=[
                    "ncf_model",
                    "ncf_feature_spec",
                    "ncf_test@spark",
                    "ncf_test_candidates@spark",
                    "ncf_train@spark",
                    "params:ncf",
                ],
                outputs=["ncf_test_predictions@spark", "ncf_candidate_scores@spark"],
                name="predict_ncf_test",
            ),
            Node(
                func=nodes.rank_ncf_items,
                inputs=[
                    "ncf_model",
                    "ncf_feature_spec",
                    "ncf_interactions@spark",
                    "users",
                    "items",
                    "interactions_schema",
                    "ncf_user_features@spark",
                    "ncf_item_features@path",
                    "params:ncf",
                ],
                outputs=["ncf_recommendations", "ncf_test_lists@spark"],
                name="rank_ncf_items",
            ),
            Node(
                func=nodes.report_ncf,
                inputs=[
                    "ncf_test_predictions@path",
                    "ncf_test_lists@path",
                    "ncf_candidate_scores@path",
                    "ncf_interactions@path",
                    "ncf_train@path",
                    "ncf_model",
                    "ncf_feature_spec",
                    "interactions_data_quality",
                    "ncf_baselines",
                    "ncf_history",
                    "params:ncf",
                    "params:seed",
                ],
                outputs=["ncf_metrics", "ncf_loss_curves", "ncf_comparison", "ncf_calibration"],
                name="report_ncf",
            ),
        ],
        tags="ncf",
    )
