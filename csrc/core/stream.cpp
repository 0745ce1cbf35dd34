#include "stream.hpp"

#include <algorithm>
#include <cmath>

#include "denormals.hpp"

namespace bunraku {
namespace {

// A swapped-in model hears the live signal before it is heard itself, so that the crossfade meets
// it as if it had always been running and no onset or filter delay is audible. A quarter of a
// second covers every common network entirely.
int preroll_frames(const Performance& performance, double sample_rate_hz) {
  const int needed = performance.latency_frames() + performance.receptive_field_frames() - 1;
  return std::min(needed, static_cast<int>(0.25 * sample_rate_hz));
}

std::vector<float*> planes_of(std::vector<float>& samples, int channels, int frames) {
  samples.assign(static_cast<std::size_t>(channels) * static_cast<std::size_t>(frames), 0.0f);
  std::vector<float*> planes;
  for (int channel = 0; channel < channels; ++channel)
    planes.push_back(samples.data() +
                     static_cast<std::size_t>(channel) * static_cast<std::size_t>(frames));
  return planes;
}

float finite_or_zero(float x) noexcept {
  return x - x == 0.0f ? x : 0.0f;
}

} // namespace

Stream::Stream(std::shared_ptr<const Model> model, const StreamConfig& config) : m_config(config) {
  if (m_config.sample_rate_hz == 0.0)
    m_config.sample_rate_hz = model->sample_rate_hz();
  if (m_config.crossfade_frames == 0)
    m_config.crossfade_frames =
        std::max(1, static_cast<int>(0.010 * m_config.sample_rate_hz + 0.5));
  m_input = planes_of(m_input_samples, m_config.channels, m_config.max_block_frames);
  m_next_output = planes_of(m_next_samples, m_config.channels, m_config.max_block_frames);
  m_planar_output = planes_of(m_planar_samples, m_config.channels, m_config.max_block_frames);
  const int length = m_config.crossfade_frames;
  m_fade_in.resize(static_cast<std::size_t>(length));
  for (int i = 0; i < length; ++i)
    m_fade_in[static_cast<std::size_t>(i)] =
        static_cast<float>(std::sin(1.5707963267948966 * (i + 0.5) / length));
  auto performance = std::make_unique<Performance>(std::move(model), m_config, m_banks[0]);
  m_latency_frames.store(static_cast<std::uint32_t>(performance->latency_frames()));
  m_active = performance.release();
}

Stream::~Stream() {
  delete m_incoming.load();
  delete m_retired.load();
  delete m_next;
  delete m_active;
}

void Stream::free_retired() noexcept {
  delete m_retired.exchange(nullptr, std::memory_order_acquire);
}

void Stream::swap(std::shared_ptr<const Model> model) {
  free_retired();
  if (m_swap_in_progress.load(std::memory_order_acquire))
    throw Error(BK_ERROR_BUSY, "the previous swap is still in progress; try again when "
                               "bk_stream_swap_pending() returns 0");
  free_retired(); // it may have come between the two lines above
  const std::uint32_t bank = 1u - m_newest_bank.load(std::memory_order_relaxed);
  auto performance = std::make_unique<Performance>(std::move(model), m_config, m_banks[bank]);
  m_latency_frames.store(static_cast<std::uint32_t>(performance->latency_frames()),
                         std::memory_order_relaxed);
  m_newest_bank.store(bank, std::memory_order_release);
  m_swap_in_progress.store(true, std::memory_order_relaxed);
  m_incoming.store(performance.release(), std::memory_order_release);
}

bool Stream::swap_pending() {
  const bool pending = m_swap_in_progress.load(std::memory_order_acquire);
  free_retired();
  return pending;
}

bk_status Stream::set_param(std::uint32_t index, float value) noexcept {
  ParameterBank& bank = m_banks[m_newest_bank.load(std::memory_order_acquire)];
  if (index >= bank.count() || !(value >= bank.minimum(index) && value <= bank.maximum(index)))
    return BK_ERROR_INVALID_ARGUMENT;
  bank.set(index, value);
  return BK_OK;
}

bk_status Stream::get_param(std::uint32_t index, float& value) const noexcept {
  const ParameterBank& bank = newest_bank();
  if (index >= bank.count())
    return BK_ERROR_INVALID_ARGUMENT;
  value = bank.value(index);
  return BK_OK;
}

bk_status Stream::process(const float* const* in, float* const* out,
                          std::uint32_t frames) noexcept {
  if (frames > static_cast<std::uint32_t>(m_config.max_block_frames))
    return BK_ERROR_INVALID_ARGUMENT;
  for (int channel = 0; channel < m_config.channels; ++channel)
    if (in[channel] == nullptr || out[channel] == nullptr)
      return BK_ERROR_INVALID_ARGUMENT;
  const int count = static_cast<int>(frames);
  for (int channel = 0; channel < m_config.channels; ++channel)
    std::transform(in[channel], in[channel] + count, m_input[static_cast<std::size_t>(channel)],
                   finite_or_zero);
  run(out, count);
  return BK_OK;
}

bk_status Stream::process_interleaved(const float* in, float* out, std::uint32_t frames) noexcept {
  if (frames > static_cast<std::uint32_t>(m_config.max_block_frames))
    return BK_ERROR_INVALID_ARGUMENT;
  const int count = static_cast<int>(frames);
  const int channels = m_config.channels;
  for (int channel = 0; channel < channels; ++channel)
    for (int frame = 0; frame < count; ++frame)
      m_input[static_cast<std::size_t>(channel)][frame] =
          finite_or_zero(in[frame * channels + channel]);
  run(m_planar_output.data(), count);
  for (int channel = 0; channel < channels; ++channel)
    for (int frame = 0; frame < count; ++frame)
      out[frame * channels + channel] = m_planar_output[static_cast<std::size_t>(channel)][frame];
  return BK_OK;
}

void Stream::run(float* const* out, int frames) noexcept {
  if (frames == 0)
    return;
  const DenormalsOff denormals_off;
  adopt_incoming();
  m_active->process(m_input.data(), out, frames);
  if (m_next != nullptr) {
    m_next->process(m_input.data(), m_next_output.data(), frames);
    blend(out, frames);
  }
}

void Stream::adopt_incoming() noexcept {
  if (m_next != nullptr)
    return;
  m_next = m_incoming.exchange(nullptr, std::memory_order_acquire);
  if (m_next != nullptr) {
    m_preroll_left = preroll_frames(*m_next, m_config.sample_rate_hz);
    m_fade_position = 0;
  }
}

void Stream::blend(float* const* out, int frames) noexcept {
  const int first = std::min(m_preroll_left, frames);
  m_preroll_left -= first;
  const int length = m_config.crossfade_frames;
  const int faded = std::min(frames - first, length - m_fade_position);
  const float* rising = m_fade_in.data() + m_fade_position;
  const float* falling = m_fade_in.data() + (length - 1 - m_fade_position);
  for (int channel = 0; channel < m_config.channels; ++channel) {
    float* sink = out[channel] + first;
    const float* incoming = m_next_output[static_cast<std::size_t>(channel)] + first;
    for (int i = 0; i < faded; ++i)
      sink[i] = falling[-i] * sink[i] + rising[i] * incoming[i];
    std::copy(incoming + faded, incoming + (frames - first), sink + faded);
  }
  m_fade_position += faded;
  if (m_fade_position == length)
    retire_active();
}

void Stream::retire_active() noexcept {
  // The control thread emptied m_retired before it gave us m_next, so nothing is overwritten.
  m_retired.store(m_active, std::memory_order_release);
  m_active = m_next;
  m_next = nullptr;
  m_swap_in_progress.store(false, std::memory_order_release);
}

void Stream::reset() noexcept {
  const DenormalsOff denormals_off;
  m_active->reset();
  if (m_next != nullptr)
    m_next->reset();
}

} // namespace bunraku
