import json

import pytest
from pydantic import ValidationError

from tandem.errors import UserError
from tandem.features.spec import (
    BagFeature,
    BucketFeature,
    CrossFeature,
    FeatureSpec,
    MinMaxFeature,
    OneHotFeature,
    RankedVocabularyFeature,
    ScaledFeature,
    TargetEncodingFeature,
    VocabularyFeature,
    in_layers,
)


def make_spec(**changes: object) -> FeatureSpec:
    fields = {
        "num_users": 3,
        "num_items": 2,
        "num_training_rows": 5,
        "features": (
            VocabularyFeature(name="user", table="user", column="user_id", size=4, path="users.parquet", digest="ab"),
            VocabularyFeature(name="gender", table="user", column="gender", size=3, values=("M", "F")),
            MinMaxFeature(name="age", table="user", column="age", min=7.0, max=73.0, mean=34.05),
            BagFeature(name="genres", table="item", column="genres", size=2, values=("Café",)),
        ),
    }
    return FeatureSpec(**(fields | changes))


def test_a_spec_survives_json_text_unchanged():
    spec = make_spec()
    document = json.loads(json.dumps(spec.to_json()))
    assert FeatureSpec.from_json(document) == spec
    assert document["fingerprint"] == spec.fingerprint
    assert document["format_version"] == 1


def test_sizes_count_the_unknown_id():
    assert make_spec().sizes == {"user": 4, "gender": 3, "genres": 2}


def test_the_fingerprint_follows_what_was_fitted():
    assert make_spec().fingerprint == make_spec().fingerprint
    assert make_spec(num_users=4).fingerprint != make_spec().fingerprint


def test_side_features_leave_out_the_ids_that_lie_in_tables():
    assert [f.name for f in make_spec().side_features("user")] == ["gender", "age"]
    assert [f.name for f in make_spec().side_features("item")] == ["genres"]


def test_a_feature_is_found_by_name():
    assert make_spec().feature("age").kind == "min_max"
    with pytest.raises(KeyError):
        make_spec().feature("shoe_size")


def test_a_later_format_is_refused_in_one_line():
    with pytest.raises(UserError, match="format_version is 2, this version of tandem reads 1"):
        FeatureSpec.from_json(make_spec().to_json() | {"format_version": 2})


def test_altered_content_is_refused():
    with pytest.raises(UserError, match="does not fit its fingerprint"):
        FeatureSpec.from_json(make_spec().to_json() | {"num_users": 4})


def test_a_field_of_the_wrong_kind_is_named():
    with pytest.raises(UserError, match=r"num_users: .*integer.*; prepare the data again") as raised:
        FeatureSpec.from_json(make_spec().to_json() | {"num_users": "many"})
    assert "\n" not in str(raised.value)


def test_a_vocabulary_has_its_values_in_exactly_one_place():
    with pytest.raises(ValidationError, match="either values or a path"):
        VocabularyFeature(name="g", table="user", column="g", size=1)
    with pytest.raises(ValidationError, match="either values or a path"):
        VocabularyFeature(name="g", table="user", column="g", size=2, values=("a",), path="p")


def test_the_size_of_an_inline_vocabulary_must_fit():
    with pytest.raises(ValidationError, match="size of g is 5"):
        VocabularyFeature(name="g", table="user", column="g", size=5, values=("a",))


def make_wide_spec():
    ranked = {"table": "item", "column": "tags", "size": 9, "path": "vocabularies/tags.parquet", "digest": "ab"}
    return make_spec(
        features=(
            RankedVocabularyFeature(name="tags", kept={"two_tower": 4}, **ranked),
            BucketFeature(name="bin", table="user", column="followers", edges=(1.0, 10.0)),
            CrossFeature(name="tags_x_bin", table="pair", columns=("tags", "bin"), buckets=50),
            ScaledFeature(name="followers", table="user", column="followers", min=0.0, max=9.0, log=True),
        )
    )


def test_every_kind_of_feature_survives_json_text():
    spec = make_wide_spec()
    assert FeatureSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_sizes_of_a_model_are_cut_off_by_its_limits():
    assert make_wide_spec().sizes == {"tags": 9, "bin": 4, "tags_x_bin": 51}
    assert make_wide_spec().sizes_of("two_tower") == {"tags": 4, "bin": 4, "tags_x_bin": 51}
    assert make_wide_spec().sizes_of("wnd") == make_wide_spec().sizes


def test_pairs_have_features_of_their_own():
    assert [feature.name for feature in make_wide_spec().side_features("pair")] == ["tags_x_bin"]


def test_documents_of_earlier_versions_keep_their_fingerprints():
    assert make_spec().fingerprint == "436cf121f9f41857"
    assert make_wide_spec().fingerprint == "a71e614a14e007e5"


def make_lookup(**changes):
    fields = {"name": "rate", "table": "item", "column": "brand", "mean": 0.5, "smooth": 1.0}
    return TargetEncodingFeature(**(fields | changes))


def test_numbers_that_are_looked_up_have_one_place_and_a_number_for_each_value():
    assert make_lookup(values=("a",), numbers=(0.1,)).missing == 0.5
    assert make_lookup(path="rates.parquet").keys == ("brand",)
    with pytest.raises(ValidationError, match="rate needs either values or a path"):
        make_lookup()
    with pytest.raises(ValidationError, match="rate has 2 values and 1 numbers"):
        make_lookup(values=("a", "b"), numbers=(0.1,))
    with pytest.raises(ValidationError, match="finite number"):
        make_lookup(values=("a",), numbers=(float("nan"),))


def test_features_that_read_others_come_after_them():
    one = VocabularyFeature(name="one", table="user", column="a", size=2, values=("x",))
    cross = CrossFeature(name="cross", table="user", columns=("one", "two"), buckets=3)
    two = BucketFeature(name="two", table="user", column="b", edges=(1.0,))
    hot = OneHotFeature(name="hot", table="user", of="cross", size=4)
    assert in_layers([hot, cross, one, two]) == [(one, two), (cross,), (hot,)]
    with pytest.raises(UserError, match="reads the encoded column two, which no other feature makes: name one of one"):
        in_layers([cross, one])
