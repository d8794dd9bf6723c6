"""Wiring of the lists that need both models of the RecSys 2021 data."""

from kedro.pipeline import Node, Pipeline

from tandem.pipelines.inference import recommendations_nodes as nodes


def create_recommendations_pipeline(**_: object) -> Pipeline:
    """The two-tower's candidates, ranked by Wide & Deep."""
    return Pipeline(
        [
            Node(
                func=nodes.find_recsys2021_candidates,
                inputs=[
                    "two_tower_model",
                    "two_tower_index",
                    "two_tower_user_embeddings",
                    "recsys2021_user_features@path",
                    "recsys2021_item_features@path",
                    "two_tower_train@path",
                    "two_tower_test@path",
                    "two_tower_work",
                    "params:two_tower",
                    "params:seed",
                ],
                outputs="recsys2021_candidates@path",
                name="find_recsys2021_candidates",
            ),
            Node(
                func=nodes.rank_recsys2021_candidates,
                inputs=[
                    "recsys2021_candidates@spark",
                    "recsys2021_user_features@spark",
                    "recsys2021_item_features@spark",
                    "recsys2021_feature_spec",
                    "wnd_model",
                    "params:two_tower",
                ],
                outputs="recsys2021_recommendations",
                name="rank_recsys2021_candidates",
            ),
        ],
        tags="recsys2021",
    )
