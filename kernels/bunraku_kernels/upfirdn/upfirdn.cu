// Memory decides: each block keeps the samples that its tile of the result needs in shared memory,
// read once, and visits only the taps that meet a sample.
#include "upfirdn_launch.hpp"

#include <algorithm>

#include "any_tiles.cuh"
#include "typical_tiles.cuh"

namespace bunraku_kernels {
using namespace upfirdn_detail;

namespace {

bool aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

dim3 grid_for(std::int64_t tiles) {
  constexpr std::int64_t most = 0x7fffffff; // beyond that blocks loop
  return dim3(static_cast<unsigned>(std::min(tiles, most)));
}

template <typename T> void run_any(const UpfirdnArguments& a, void* stream) {
  const AnyTile s = any_tile(a);
  const std::int64_t tiles = a.images * ceil_div(a.channels, s.channels) *
                             ceil_div(a.out_width, s.columns) * ceil_div(a.out_height, s.rows);
  bunraku::cuda::launch(upfirdn_any<T>, grid_for(tiles), dim3(kAnyThreads),
                        static_cast<std::size_t>(s.shared_bytes(a.separable)), stream, a, s, tiles);
}

template <typename T, int kUp, int kDown, Epilogue kEpilogue>
void run_constant(const UpfirdnArguments& a, void* stream) {
  if (a.channels_last) {
    using Tile = PixelTile<T, kUp, kDown>;
    const std::int64_t tiles = a.images * ceil_div(a.channels, Tile::kVectors * Tile::kLanes) *
                               ceil_div(a.out_width, Tile::kWidth) *
                               ceil_div(a.out_height, Tile::kHeight);
    return bunraku::cuda::launch(upfirdn_pixels<T, kUp, kDown, kEpilogue>, grid_for(tiles),
                                 dim3(Tile::kThreads), Tile::kSharedBytes, stream, a, tiles);
  }
  using Tile = PlaneTile<T, kUp, kDown>;
  const std::int64_t tiles = a.images * a.channels * ceil_div(a.out_width, Tile::kWidth) *
                             ceil_div(a.out_height, Tile::kHeight);
  const bool load_vectors = a.width % Tile::kLanes == 0 && aligned(a.x);
  const bool store_vectors =
      a.out_width % Tile::kLanes == 0 && aligned(a.out) && (a.order != 1 || aligned(a.dy));
  bunraku::cuda::launch(upfirdn_planes<T, kUp, kDown, kEpilogue>, grid_for(tiles),
                        dim3(Tile::kThreads), Tile::kSharedBytes, stream, a, tiles, load_vectors,
                        store_vectors);
}

template <typename T, Epilogue kEpilogue>
void run_typical(const UpfirdnArguments& a, void* stream) {
  if (a.up_x == 2)
    run_constant<T, 2, 1, kEpilogue>(a, stream);
  else if (a.down_x == 2)
    run_constant<T, 1, 2, kEpilogue>(a, stream);
  else
    run_constant<T, 1, 1, kEpilogue>(a, stream);
}

// Whether the kernels with constant sizes take it.
template <typename T> bool is_typical(const UpfirdnArguments& a) {
  const bool sampling = a.up_x == a.up_y && a.down_x == a.down_y && a.up_x * a.down_x <= 2 &&
                        a.before_x % a.up_x == 0 && a.before_y % a.up_y == 0;
  const bool activation =
      a.order < 0 || (a.order < 2 && a.activation <= static_cast<int>(ActivationCode::Lrelu));
  const bool layout = !a.channels_last || (a.channels % Vector16<T>::kLanes == 0 && aligned(a.x) &&
                                           aligned(a.out) && (a.order != 1 || aligned(a.dy)));
  const bool square = a.out_height > 1; // a signal would leave most of a tile empty
  return sampling && activation && layout && square && a.taps_x == kTaps && a.taps_y == kTaps;
}

template <typename T> void run(const UpfirdnArguments& a, void* stream) {
  if (!is_typical<T>(a))
    return run_any<T>(a, stream);
  if (a.order < 0)
    return run_typical<T, Epilogue::None>(a, stream);
  run_typical<T, Epilogue::Broken>(a, stream);
}

} // namespace

void upfirdn(const UpfirdnArguments& arguments, int type, void* stream) {
  if (arguments.images == 0 || arguments.channels == 0)
    return;
  with_element_type(type, [&](auto tag) { run<typename decltype(tag)::Type>(arguments, stream); });
}

} // namespace bunraku_kernels
