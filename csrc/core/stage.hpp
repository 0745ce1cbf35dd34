// The two halves of everything that makes sound: a Stage (immutable, shared) and its Voices.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "bunraku/bunraku.h"

namespace bunraku {

// Thrown by [control] code only; the C ABI turns it into a status and a message.
class Error : public std::runtime_error {
public:
  Error(bk_status status, const std::string& message)
      : std::runtime_error(message), m_status(status) {}
  bk_status status() const noexcept { return m_status; }

private:
  bk_status m_status;
};

struct VoiceConfig {
  int max_block_frames = 0;      // process() is never called with more
  float size = 1.0f;             // for slimmable networks
  const float* params = nullptr; // values by parameter index, renewed by the stream before a block
};

// One voice's state. Made by Stage::open_voice() on a control thread, already prewarmed.
class Voice {
public:
  virtual ~Voice() = default;

  // in: in_channels planes, out: out_channels planes, 1 <= frames <= max_block_frames.
  // A plane of `out` may be the plane of `in` at the same index. Audio thread: no allocation, no
  // lock, no system call. Denormals are already flushed to zero by the caller.
  virtual void process(const float* const* in, float* const* out, int frames) noexcept = 0;

  // Back to the prewarmed state (as after an endless silence). Audio thread.
  virtual void reset() noexcept = 0;

  // From now on reset() returns to the present state. A chain calls it after it let silence through
  // all its nodes, because what one network makes of silence is what the next one has heard so far.
  // Control thread; may allocate.
  virtual void keep_as_prewarmed() = 0;
};

// Weights and shape, packed for the instruction set; shared by all voices and threads.
class Stage {
public:
  virtual ~Stage() = default;
  virtual std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const = 0;

  virtual int in_channels() const noexcept { return 1; }
  virtual int out_channels() const noexcept { return 1; }
  virtual int latency_frames() const noexcept { return 0; }
  virtual int receptive_field_frames() const noexcept { return 1; }
  virtual double flop_per_frame() const noexcept { return 0.0; } // networks only; size 1
  virtual bool is_fast() const noexcept { return true; }         // false: runs on a general path
};

} // namespace bunraku
