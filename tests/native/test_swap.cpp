// 1,000 hot swaps during a sine. Three streams play one model each from the first frame to the
// last; the swapped stream must be, at every frame, the equal-power blend of what two of them play
// (or what one plays, outside a crossfade) within -60 dBFS: no block lost, no step, no onset.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "handles.hpp"
#include "model_bytes.hpp"

namespace {

constexpr std::uint32_t kBlock = 128;
constexpr int kSwaps = 1000;
constexpr int kFade = 480; // 10 ms at 48 kHz
constexpr double kQuarterTurn = 1.5707963267948966;

struct Player {
  ModelHandle model;
  StreamHandle stream;
  int preroll_frames;
  std::vector<float> block = std::vector<float>(kBlock);

  explicit Player(const std::vector<unsigned char>& bytes)
      : model(load(bytes)), stream(open(model.get(), 1, kBlock)) {
    bk_model_info info{};
    info.struct_size = sizeof info;
    need(bk_model_get_info(model.get(), &info), "info");
    preroll_frames =
        static_cast<int>(bk_stream_latency_frames(stream.get()) + info.receptive_field_frames) - 1;
  }
};

bk_status play(bk_stream* stream, const std::vector<float>& in, std::vector<float>& out) {
  const float* source = in.data();
  float* sink = out.data();
  return bk_stream_process(stream, &source, &sink, kBlock);
}

} // namespace

int main() {
  using namespace model_bytes;
  std::vector<Player> players;
  players.emplace_back(file(chain({gain(-3.0f)})));
  players.emplace_back(file(chain({wavenet(4, {1, 2, 4, 8, 16})})));
  players.emplace_back(file(chain({rate(44100.0f, chain({gain(-6.0f)}))})));
  const StreamHandle swapped = open(players[0].model.get(), 1, kBlock);

  std::vector<float> in(kBlock), out(kBlock);
  std::size_t now = 0, next = 0;
  std::int64_t frame = 0, fade_start = -1;
  int swaps = 0;
  double worst = 0.0;
  bool ok = true;
  for (int calm = 0; swaps < kSwaps || calm < 3;) {
    if (fade_start < 0 && ++calm > 2 && swaps < kSwaps) {
      next = (now + 1 + static_cast<std::size_t>(swaps) % 2) % players.size();
      need(bk_stream_swap(swapped.get(), players[next].model.get()), "swap");
      CHECK(bk_stream_swap(swapped.get(), players[now].model.get()) == BK_ERROR_BUSY,
            "a second swap must wait");
      fade_start = frame + players[next].preroll_frames;
      ++swaps;
    }
    for (std::uint32_t i = 0; i < kBlock; ++i)
      in[i] = static_cast<float>(0.5 * std::sin(2.0 * 3.14159265358979323846 * 440.0 *
                                                static_cast<double>(frame + i) / 48000.0));
    ok &= play(swapped.get(), in, out) == BK_OK;
    for (Player& player : players)
      ok &= play(player.stream.get(), in, player.block) == BK_OK;
    for (std::uint32_t i = 0; i < kBlock; ++i) {
      const double position = fade_start < 0 ? -1.0 : static_cast<double>(frame + i - fade_start);
      const double turn = std::clamp((position + 0.5) / kFade, 0.0, 1.0) * kQuarterTurn;
      const double ideal = position < 0.0 ? players[now].block[i]
                                          : std::cos(turn) * players[now].block[i] +
                                                std::sin(turn) * players[next].block[i];
      worst = std::max(worst, std::fabs(out[i] - ideal));
    }
    frame += kBlock;
    if (fade_start >= 0 && frame >= fade_start + kFade) {
      CHECK(bk_stream_swap_pending(swapped.get()) == 0, "swap %d did not end in time", swaps);
      now = next;
      fade_start = -1;
      calm = 0;
    }
  }
  CHECK(ok, "a block was refused");
  CHECK(worst < 1e-3, "off the ideal crossfade by %g", worst);
  std::printf("%d swaps in %lld frames: at most %.1f dBFS off the ideal crossfade\n", swaps,
              static_cast<long long>(frame), 20.0 * std::log10(worst + 1e-12));
  return check_kit::report();
}
