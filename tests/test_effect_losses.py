"""ESR and the training loss against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
from bunraku.training.effect_losses import PRE_EMPHASIS, esr, pre_emphasise, training_loss  # noqa: E402


def test_esr_is_error_energy_over_target_energy() -> None:
    random = np.random.default_rng(1)
    y, t = random.standard_normal((2, 3, 1, 200))
    expected = np.sum((t - y) ** 2) / np.sum(t**2)
    assert float(esr(torch.tensor(y), torch.tensor(t))) == pytest.approx(expected, rel=1e-12)
    assert float(esr(torch.tensor(t), torch.tensor(t))) == 0.0
    assert float(esr(torch.zeros(5), torch.ones(5))) == 1.0


def test_esr_of_silence_is_refused() -> None:
    with pytest.raises(ZeroDivisionError):
        esr(torch.ones(4), torch.zeros(4))


def test_pre_emphasis_is_a_first_difference() -> None:
    x = torch.tensor([1.0, 2.0, 4.0])
    assert torch.allclose(pre_emphasise(x), torch.tensor([2 - PRE_EMPHASIS, 4 - 2 * PRE_EMPHASIS]))


def test_training_loss_falls_with_the_error_and_is_finite_on_silence() -> None:
    t = torch.sin(torch.arange(400) / 7.0)[None, None]
    near, far = (float(training_loss(t * (1 - e), t, 0.5, 0.5, 0.1)) for e in (0.01, 0.1))
    assert 0 < near < far
    assert near == pytest.approx(far / 100, rel=1e-3)
    silent = torch.zeros(1, 1, 400)
    assert np.isfinite(float(training_loss(silent + 1e-3, silent, 0.5, 0.5, 0.1)))
