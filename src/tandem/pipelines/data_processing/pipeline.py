"""Wiring of the data processing."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.data_processing import nodes


def create_pipeline(**_: object) -> Pipeline:
    """MovieLens files to the rows, features and candidates of NCF."""
    return Pipeline(
        [
            Node(
                func=nodes.clean_movielens,
                inputs=["movielens_raw", "params:movielens_cleaning"],
                outputs=[
                    "movielens.interactions",
                    "movielens.users",
                    "movielens.items",
                    "movielens.data_quality",
                ],
                name="clean_movielens",
            ),
            Node(
                func=nodes.split_movielens,
                inputs=["movielens.interactions", "params:ncf", "params:seed"],
                outputs="ncf.interactions@spark",
                name="split_movielens",
            ),
            Node(
                func=nodes.fit_ncf_features,
                inputs=["ncf.interactions@spark", "movielens.users", "movielens.items", "params:ncf"],
                outputs=["ncf.feature_spec", "ncf.user_features@spark", "ncf.item_features@spark"],
                name="fit_ncf_features",
            ),
            Node(
                func=nodes.make_ncf_rows,
                inputs=[
                    "ncf.interactions@spark",
                    "ncf.feature_spec",
                    "ncf.user_features@spark",
                    "ncf.item_features@spark",
                    "movielens.users",
                    "movielens.items",
                    "params:ncf",
                    "params:seed",
                ],
                outputs=["ncf.train@spark", "ncf.test@spark"],
                name="make_ncf_rows",
            ),
            Node(
                func=nodes.draw_test_candidates,
                inputs=[
                    "ncf.interactions@spark",
                    "ncf.user_features@spark",
                    "ncf.item_features@spark",
                    "params:ncf",
                    "params:seed",
                ],
                outputs="ncf.test_candidates@spark",
                name="draw_ncf_test_candidates",
            ),
        ],
        tags="ncf",
    )
