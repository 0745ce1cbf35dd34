"""The definition of `wavenet_sample`: one sample after the other in plain PyTorch.

The network is that of van den Oord et al. (2016); uniform numbers are Philox4x32-10 (Salmon et al.,
2011), counted by sample and stream, so that every backend draws the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bunraku_kernels.wavenet_sample.state import WaveNetState
from bunraku_kernels.wavenet_sample.weights import WaveNetWeights

LEAST_LOG_SCALE = -7.0


def sample(
    weights: WaveNetWeights, condition: Tensor, state: WaveNetState, temperature: float, seed: int
) -> Tensor:
    """The next T samples of each stream for condition [B, T, L, 2R]; the state moves on."""
    batch, frames = condition.shape[:2]
    kind = torch.int32 if weights.is_categorical else weights.dtype
    samples = torch.empty(batch, frames, dtype=kind, device=condition.device)
    for t in range(frames):
        outputs = step(weights, condition[:, t], state)
        uniforms = uniform_numbers(state.time, state.stream, seed).to(weights.dtype)
        y = choose(weights, outputs, uniforms, temperature)
        samples[:, t] = y
        advance(state, y)
    return samples


def log_likelihood(
    weights: WaveNetWeights, samples: Tensor, condition: Tensor, state: WaveNetState
) -> Tensor:
    """log p of each of the given samples [B, T] (density for real values), in nats."""
    scores = torch.empty(samples.shape, dtype=weights.dtype, device=condition.device)
    for t in range(samples.shape[1]):
        outputs = step(weights, condition[:, t], state)
        scores[:, t] = log_probability(weights, outputs, samples[:, t])
        advance(state, samples[:, t])
    return scores


# ---- the network --------------------------------------------------------------------------------


def step(weights: WaveNetWeights, condition: Tensor, state: WaveNetState) -> Tensor:
    """Outputs [B, O] for the next sample; `condition` [B, L, 2R]. Writes the layers' rings."""
    x = embed(weights, state.last)
    streams = torch.arange(len(x), device=x.device)
    skip = weights.skip_bias.expand(len(x), -1)
    first_slot = 0
    for index, dilation in enumerate(weights.dilations):
        slot = first_slot + state.time % dilation
        past = state.history[streams, slot]
        state.history[streams, slot] = x
        z = past @ weights.past[index].T + x @ weights.current[index].T + condition[:, index]
        filtered, gate = z.chunk(2, dim=1)
        hidden = torch.tanh(filtered) * torch.sigmoid(gate)
        skip = skip + hidden @ weights.skip[index].T
        x = x + hidden @ weights.residual[index].T + weights.residual_bias[index]
        first_slot += dilation
    hidden = torch.relu(skip) @ weights.out.T + weights.out_bias
    return torch.relu(hidden) @ weights.end.T + weights.end_bias


def embed(weights: WaveNetWeights, last: Tensor) -> Tensor:
    if weights.is_categorical:
        codes = last.nan_to_num(0.0).clamp(0, weights.outputs - 1).long()
        return weights.input_prev[codes[:, 0]] + weights.input_cur[codes[:, 1]]
    assert weights.input_bias is not None
    return last[:, :1] * weights.input_prev + last[:, 1:] * weights.input_cur + weights.input_bias


def advance(state: WaveNetState, y: Tensor) -> None:
    state.last[:, 0] = state.last[:, 1]
    state.last[:, 1] = y
    state.time += 1


# ---- choosing -----------------------------------------------------------------------------------


def choose(
    weights: WaveNetWeights, outputs: Tensor, uniforms: Tensor, temperature: float
) -> Tensor:
    """A sample [B] from outputs [B, O] and uniforms [B, 4]."""
    if weights.is_categorical:
        return choose_class(outputs, uniforms[:, 0], temperature).to(torch.int32)
    if weights.distribution == "gaussian":
        mean, log_scale = outputs.unbind(1)
        noise = torch.sqrt(-2 * torch.log(uniforms[:, 0])) * torch.cos(2 * math.pi * uniforms[:, 1])
    else:
        logits, means, log_scales = outputs.chunk(3, dim=1)
        component = choose_class(logits, uniforms[:, 0], temperature)[:, None]
        mean, log_scale = means.gather(1, component)[:, 0], log_scales.gather(1, component)[:, 0]
        noise = torch.log(uniforms[:, 1]) - torch.log1p(-uniforms[:, 1])
    if temperature == 0:
        return mean.clamp(-1, 1)
    scale = torch.exp(log_scale.clamp(min=LEAST_LOG_SCALE))
    return (mean + temperature * scale * noise).clamp(-1, 1)


def choose_class(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Index [B] of the class whose share of [0, 1) holds `uniform`; of the first largest at 0."""
    best = logits.max(dim=1, keepdim=True).values
    if temperature == 0:
        return (logits == best).to(torch.int8).argmax(dim=1)
    below = torch.exp((logits - best) / temperature).cumsum(dim=1)
    above = below > uniform[:, None] * below[:, -1:]
    return torch.where(above.any(dim=1), above.to(torch.int8).argmax(dim=1), logits.shape[1] - 1)


def log_probability(weights: WaveNetWeights, outputs: Tensor, y: Tensor) -> Tensor:
    """log p(y) [B] under outputs [B, O]; before the clamp to [-1, 1] for real values."""
    if weights.is_categorical:
        return torch.log_softmax(outputs, dim=1).gather(1, y[:, None].long())[:, 0]
    if weights.distribution == "gaussian":
        mean, log_scale = outputs[:, 0], outputs[:, 1].clamp(min=LEAST_LOG_SCALE)
        z = (y - mean) * torch.exp(-log_scale)
        return -0.5 * z * z - log_scale - 0.5 * math.log(2 * math.pi)
    logits, means, log_scales = outputs.chunk(3, dim=1)
    log_scales = log_scales.clamp(min=LEAST_LOG_SCALE)
    z = (y[:, None] - means).abs() * torch.exp(-log_scales)
    densities = -z - log_scales - 2 * torch.log1p(torch.exp(-z))
    return torch.logsumexp(torch.log_softmax(logits, dim=1) + densities, dim=1)


# ---- uniform numbers ----------------------------------------------------------------------------

WORD = 0xFFFFFFFF


def uniform_numbers(time: Tensor, stream: Tensor, seed: int) -> Tensor:
    """float32 [B, 4] in the open interval (0, 1), for sample `time` [B] of stream `stream` [B]."""
    counter = [time & WORD, time >> 32 & WORD, stream & WORD, torch.zeros_like(time)]
    words = torch.stack(philox4x32_10(counter, (seed & WORD, seed >> 32 & WORD)), dim=1)
    values = (words >> 8).float().add(0.5).mul(2.0**-24)
    return values.clamp(max=1.0 - 2.0**-24)  # the last of the 2^24 values rounds to 1


def philox4x32_10(counter: list[Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Four 32-bit words in int64 tensors, by ten rounds of Philox."""
    x, y, z, w = counter
    first, second = key
    multiply: Callable[[Tensor, int], tuple[Tensor, Tensor]] = _multiply_32
    for _ in range(10):
        even_high, even_low = multiply(x, 0xD2511F53)
        odd_high, odd_low = multiply(z, 0xCD9E8D57)
        x, y, z, w = odd_high ^ y ^ first, odd_low, even_high ^ w ^ second, even_low
        first, second = (first + 0x9E3779B9) & WORD, (second + 0xBB67AE85) & WORD
    return [x, y, z, w]


def _multiply_32(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """High and low words of a product of 64 bits, whose sign int64 would take for its own."""
    low_part = (word & 0xFFFF) * factor
    high_part = (word >> 16) * factor + (low_part >> 16)
    return high_part >> 16 & WORD, ((high_part & 0xFFFF) << 16) | (low_part & 0xFFFF)
