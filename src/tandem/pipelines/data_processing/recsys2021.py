"""Wiring of the RecSys 2021 data processing."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.data_processing import recsys2021_nodes as nodes


def create_recsys2021_pipeline(**_: object) -> Pipeline:
    """Raw rows to the rows of click models and the two-tower model, the feature spec and the feature tables."""
    return Pipeline(
        [
            Node(
                func=nodes.clean_recsys2021,
                inputs=["recsys2021_raw", "params:recsys2021_features"],
                outputs=["recsys2021_cleaned_train", "recsys2021_cleaned_test"],
                name="clean_recsys2021",
            ),
            Node(
                func=nodes.fit_recsys2021_features,
                inputs=["recsys2021_cleaned_train", "params:recsys2021_features"],
                outputs=["recsys2021_feature_spec", "recsys2021_vocabularies"],
                name="fit_recsys2021_features",
            ),
            Node(
                func=nodes.make_recsys2021_rows,
                inputs=[
                    "recsys2021_cleaned_train",
                    "recsys2021_cleaned_test",
                    "recsys2021_feature_spec",
                    "recsys2021_vocabularies",
                    "params:recsys2021_features",
                    "params:seed",
                ],
                outputs=["wnd_train@spark", "wnd_test@spark", "two_tower_train@spark", "two_tower_test@spark"],
                name="make_recsys2021_rows",
            ),
            Node(
                func=nodes.make_recsys2021_tables,
                inputs=["wnd_train@spark", "wnd_test@spark", "recsys2021_feature_spec"],
                outputs=["recsys2021_user_features@spark", "recsys2021_item_features@spark"],
                name="make_recsys2021_tables",
            ),
            Node(
                func=nodes.report_recsys2021_quality,
                inputs=[
                    "recsys2021_raw",
                    "recsys2021_cleaned_train",
                    "recsys2021_cleaned_test",
                    "wnd_test@spark",
                    "params:recsys2021_features",
                    "params:recsys2021",
                    "params:recsys2021_path",
                ],
                outputs="recsys2021_data_quality",
                name="report_recsys2021_quality",
            ),
        ],
        tags=["wnd", "two_tower", "recsys2021"],
    )
