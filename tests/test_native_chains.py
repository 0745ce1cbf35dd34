"""Chains of several effects in the native core: what each has heard when it opens, and bounds."""

from __future__ import annotations

import numpy as np
import pytest
from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.flat import write_flat
from bunraku.formats.flat_reader import parse_flat
from bunraku.formats.specs import (
    ChainSpec,
    GainSpec,
    LinearSpec,
    MixSpec,
    ModelSpec,
    NodeSpec,
    RateSpec,
)

native = pytest.importorskip("bunraku._native", reason="the native core is not built")


def resampled_gain(gain_db: float = 0.0) -> RateSpec:
    return RateSpec(44_100.0, ChainSpec((GainSpec(gain_db),)))


def chain(*nodes: NodeSpec) -> ModelSpec:
    return ModelSpec(ChainSpec(nodes))


def test_a_reset_chain_plays_as_a_fresh_one_where_silence_is_not_answered_with_silence() -> None:
    """The dry side of a mix remembers the constant too."""
    constant = LinearSpec(2, True, np.array([0.5, 0.25, 0.3], dtype=np.float32))
    model = native.Model(write_flat(chain(constant, MixSpec(0.5, ChainSpec((resampled_gain(),))))))
    stream = native.Stream(model, max_block_frames=64)
    silence = np.zeros((1, 1000), dtype=np.float32)
    fresh = stream.process(silence)
    np.testing.assert_allclose(fresh, 0.3, atol=1e-5)
    stream.process(np.random.default_rng(3).normal(0.0, 0.3, (1, 777)).astype(np.float32))
    stream.reset()
    np.testing.assert_array_equal(stream.process(silence), fresh)


def test_a_small_file_cannot_ask_for_filters_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    most = limits.MAX_RATE_CHANGES
    native.Model(write_flat(chain(*[resampled_gain()] * most)))
    hostile = chain(MixSpec(1.0, ChainSpec((resampled_gain(),) * most)), resampled_gain())
    with pytest.raises(ModelFormatError, match=rf"is {most + 1}: allowed are up to {most}"):
        write_flat(hostile)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "MAX_RATE_CHANGES", most + 1)
        data = write_flat(hostile)
    with pytest.raises(ModelFormatError, match=f"over {most} times"):
        native.Model(data)
    with pytest.raises(ModelFormatError, match="sample rate changes"):
        parse_flat(data)
