"""Which features must be encoded before others, as these read their encoded columns."""

from collections.abc import Iterable

from tandem.errors import UserError
from tandem.features.spec.kinds import AnyFeature, CrossFeature, DerivedFeature, MultiHotFeature, OneHotFeature


def encoded_inputs(feature: AnyFeature) -> tuple[str, ...]:
    """The encoded columns that a feature reads."""
    match feature:
        case CrossFeature():
            return feature.columns
        case OneHotFeature() | MultiHotFeature():
            return (feature.of,)
        case _:
            return ()


def in_layers(features: Iterable[AnyFeature]) -> list[tuple[AnyFeature, ...]]:
    """The features such that each reads encoded columns of earlier layers alone; within a layer in their own order.

    Raises:
        UserError: a feature reads a column that no feature encodes, or two read each other.
    """
    waiting, layers, done = list(features), list[tuple[AnyFeature, ...]](), set[str]()
    while waiting:
        ready = tuple(feature for feature in waiting if done.issuperset(encoded_inputs(feature)))
        if not ready:
            raise UserError(_unreadable(waiting, done))
        layers.append(ready)
        done.update(feature.name for feature in ready)
        waiting = [feature for feature in waiting if feature.name not in done]
    return layers


def _unreadable(waiting: list[AnyFeature], done: set[str]) -> str:
    first = next(feature for feature in waiting if isinstance(feature, DerivedFeature))
    absent = next(name for name in encoded_inputs(first) if name not in done)
    return (
        f"feature {first.name} ({first.kind}) reads the encoded column {absent}, which no other feature makes: "
        f"name one of {', '.join(sorted(done)) or 'the features'}"
    )
