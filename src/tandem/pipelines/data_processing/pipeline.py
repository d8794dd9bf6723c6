"""Wiring of the data processing."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.data_processing import nodes
from tandem.pipelines.data_processing.recsys2021 import create_recsys2021_pipeline


def create_pipeline(**_: object) -> Pipeline:
    """Raw data to the rows and features of every model."""
    return create_interactions_pipeline() + create_recsys2021_pipeline()


def create_interactions_pipeline() -> Pipeline:
    """A raw log to the rows, features and candidates of NCF."""
    return Pipeline(
        [
            Node(
                func=nodes.clean_interactions,
                inputs=[
                    "interactions_raw",
                    "params:interactions_cleaning",
                    "params:data",
                    "params:tables",
                    "params:movielens",
                    "params:movielens_path",
                ],
                outputs=["interactions", "users", "items", "interactions_schema", "interactions_data_quality"],
                name="clean_interactions",
            ),
            Node(
                func=nodes.split_interactions,
                inputs=["interactions", "interactions_schema", "params:ncf", "params:seed"],
                outputs="ncf_interactions@spark",
                name="split_interactions",
            ),
            Node(
                func=nodes.fit_ncf_features,
                inputs=[
                    "ncf_interactions@spark",
                    "users",
                    "items",
                    "interactions_schema",
                    "params:ncf",
                    "params:seed",
                ],
                outputs=["ncf_feature_spec", "ncf_user_features@spark", "ncf_item_features@spark"],
                name="fit_ncf_features",
            ),
            Node(
                func=nodes.make_ncf_rows,
                inputs=[
                    "ncf_interactions@spark",
                    "ncf_feature_spec",
                    "ncf_user_features@spark",
                    "ncf_item_features@spark",
                    "users",
                    "items",
                    "params:ncf",
                    "params:seed",
                ],
                outputs=["ncf_train@spark", "ncf_test@spark"],
                name="make_ncf_rows",
            ),
            Node(
                func=nodes.draw_test_candidates,
                inputs=[
                    "ncf_interactions@spark",
                    "ncf_user_features@spark",
                    "ncf_item_features@spark",
                    "params:ncf",
                    "params:seed",
                ],
                outputs="ncf_test_candidates@spark",
                name="draw_ncf_test_candidates",
            ),
        ],
        tags="ncf",
    )
