"""Wiring of inference and reports."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import nodes


def create_pipeline(**_: object) -> Pipeline:
    """The trained NCF's predictions, lists and report."""
    return Pipeline(
        [
            Node(
                func=nodes.predict_ncf_test,
                inputs=["ncf.model", "ncf.test@spark", "ncf.test_candidates@spark", "ncf.train@spark", "params:ncf"],
                outputs=["ncf.test_predictions@spark", "ncf.candidate_scores@spark"],
                name="predict_ncf_test",
            ),
            Node(
                func=nodes.rank_ncf_items,
                inputs=[
                    "ncf.model",
                    "ncf.interactions@spark",
                    "movielens.users",
                    "ncf.user_features@spark",
                    "ncf.item_features@spark",
                    "params:ncf",
                ],
                outputs=["ncf.recommendations", "ncf.test_lists@spark"],
                name="rank_ncf_items",
            ),
            Node(
                func=nodes.report_ncf,
                inputs=[
                    "ncf.test_predictions@arrow",
                    "ncf.test_lists@arrow",
                    "ncf.candidate_scores@arrow",
                    "ncf.interactions@arrow",
                    "ncf.feature_spec",
                    "ncf.baselines",
                    "ncf.history",
                    "params:ncf",
                ],
                outputs=["ncf.metrics", "ncf.loss_curves", "ncf.comparison", "ncf.calibration"],
                name="report_ncf",
            ),
        ],
        tags="ncf",
    )
