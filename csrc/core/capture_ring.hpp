// What was played, on its way to a recording thread: each piece with the number of its first frame.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/spsc_ring.hpp"

namespace bunraku {

// A piece that does not fit is left out whole. The numbers travel with the samples, so the reader
// sees a gap where it lies, however much of what came before is still unread.
class CaptureRing {
public:
  // Holds at least `least_frames` of `channels` floats each, in pieces of `piece_frames`.
  CaptureRing(int channels, std::size_t least_frames, int piece_frames)
      : m_channels(static_cast<std::size_t>(channels)),
        m_piece_frames(static_cast<std::size_t>(piece_frames)), m_ring(floats_of(least_frames)) {}

  // ---- the writing thread ----

  // A piece of at most `piece_frames`, whole or not at all. Wait-free.
  bool write(std::uint64_t first_frame, const float* interleaved, int frames) noexcept {
    const Piece piece{first_frame, static_cast<std::uint64_t>(frames)};
    Header header;
    std::memcpy(header.data(), &piece, sizeof piece);
    return m_ring.write_parts(header.data(), header.size(), interleaved,
                              static_cast<std::size_t>(frames) * m_channels);
  }

  // Is there room for so many frames, in pieces of `piece_frames`?
  bool fits(std::size_t frames) noexcept { return m_ring.write_available() >= floats_of(frames); }

  // ---- the reading thread ----

  // Up to `frames` frames that were played one after the other, the first of them number
  // `*first_frame`. Ends before a gap; the next call goes on behind it. Returns how many.
  std::size_t read(float* interleaved, std::size_t frames, std::uint64_t* first_frame) noexcept {
    std::size_t done = 0;
    while (done < frames && has_piece()) {
      if (done == 0) {
        *first_frame = m_piece.first_frame;
      } else if (m_piece.first_frame != *first_frame + done) {
        break;
      }
      const std::size_t part = std::min(frames - done, static_cast<std::size_t>(m_piece.frames));
      m_ring.read(interleaved + done * m_channels, part * m_channels);
      m_piece.first_frame += part;
      m_piece.frames -= part;
      done += part;
    }
    return done;
  }

private:
  struct Piece {
    std::uint64_t first_frame;
    std::uint64_t frames;
  };
  using Header = std::array<float, sizeof(Piece) / sizeof(float)>;

  std::size_t floats_of(std::size_t frames) const noexcept {
    const std::size_t pieces = (frames + m_piece_frames - 1) / m_piece_frames;
    return frames * m_channels + pieces * Header{}.size();
  }

  // What is left of the last piece, or the next. Its samples became visible with its header.
  bool has_piece() noexcept {
    Header header;
    if (m_piece.frames == 0 && m_ring.read(header.data(), header.size())) {
      std::memcpy(&m_piece, header.data(), sizeof m_piece);
    }
    return m_piece.frames > 0;
  }

  const std::size_t m_channels;
  const std::size_t m_piece_frames;
  SpscRing m_ring;
  Piece m_piece{}; // the reading thread's: what of it is still unread
};

} // namespace bunraku
