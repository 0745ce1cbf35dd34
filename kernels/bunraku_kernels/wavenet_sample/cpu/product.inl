// y += W x for weights of each type, over the Vec of the simd header included before. Outputs lie
// in the lanes; a register tile holds some vectors of outputs times some columns (streams, or
// frames of one stream), and all inputs are summed into it in the same order whatever the tile, so
// that a stream's samples do not depend on its neighbours.

namespace bunraku_kernels {
namespace {

using namespace bunraku;

#if defined(__GNUC__) || defined(__clang__)
#define BUNRAKU_INLINE inline __attribute__((always_inline))
#define BUNRAKU_INLINED_LAMBDA __attribute__((always_inline))
#else
#define BUNRAKU_INLINE inline
#define BUNRAKU_INLINED_LAMBDA
#endif

// ---- activations of 8 bits, for weights of 8 bits -----------------------------------------------

constexpr float kMostQuanta = 127.0f;

struct Quantum {
  float size;
  float inverse;
};

// `bound` of the values; 0: look for the largest.
inline Quantum quantum_of(const float* x, int count, float bound) {
  if (bound == 0.0f) {
    Vec most = zero();
    for (int i = 0; i < count; i += kLanes)
      most = max(most, abs(load(x + i)));
    bound = largest_of_lanes(most);
  }
  return {bound * (1.0f / kMostQuanta), bound > 0.0f ? kMostQuanta / bound : 0.0f};
}

// ---- products: how a group of weights meets a group of activations ------------------------------

template <int Value> struct Width {
  static constexpr int value = Value;
};

// Of a vector of weights.
template <class Dot> constexpr int dot_bytes() {
  return kLanes * Dot::format.group_inputs * bytes_of(Dot::format.code);
}

struct Float32Dot {
  using Weights = Vec;
  using Activations = Vec;
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Float32, 1, 1, 1};
  static constexpr int groups_at_once = 2;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return load(reinterpret_cast<const float*>(p));
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return broadcast(reinterpret_cast<const float*>(words)[group]);
  }
  static BUNRAKU_INLINE Sum begin(const float* y, const std::uint32_t*, int) { return load(y); }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    sum = mul_add(w, x, sum);
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float*, const float*, Vec) { return sum; }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float) {
    auto* out = reinterpret_cast<float*>(words);
    for (int i = 0; i < groups; i += kLanes)
      store(out + i, load(x + i));
    return 1.0f;
  }
};

// Weights of 16 bits made floats on the way: activations stay float32.
struct WideBfloat16Dot {
  struct Weights {
    Vec even, odd;
  };
  struct Activations {
    Vec even, odd;
  };
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Bfloat16, 2, 2, 2};
  static constexpr int groups_at_once = 2;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return {even_halves(p), odd_halves(p)};
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    const auto* x = reinterpret_cast<const float*>(words) + 2 * group;
    return {broadcast(x[0]), broadcast(x[1])};
  }
  static BUNRAKU_INLINE Sum begin(const float* y, const std::uint32_t*, int) { return load(y); }
  static BUNRAKU_INLINE void add_product(Sum& sum, const Weights& w, const Activations& x) {
    sum = mul_add(w.odd, x.odd, mul_add(w.even, x.even, sum));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float*, const float*, Vec) { return sum; }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float) {
    return Float32Dot::encode(words, x, 2 * groups, 0.0f);
  }
};

// body(Width<0>) to body(Width<count - 1>), before the compiler decides what lies in registers.
template <class Body, int... I>
BUNRAKU_INLINE void unroll(std::integer_sequence<int, I...>, Body body) {
  (body(Width<I>{}), ...);
}
#define BUNRAKU_UNROLL(count, index, ...)                                                          \
  unroll(std::make_integer_sequence<int, count>{},                                                 \
         [&](auto index##_constant) BUNRAKU_INLINED_LAMBDA {                                       \
           constexpr int index = decltype(index##_constant)::value;                                \
           __VA_ARGS__                                                                             \
         })

template <class Dot, int Vectors, int Columns>
BUNRAKU_INLINE void multiply_group(typename Dot::Sum (&sum)[Columns * Vectors],
                                   const std::byte* weights, const std::uint32_t* words,
                                   std::int64_t stride, int group) {
  typename Dot::Activations in[Columns];
  BUNRAKU_UNROLL(Columns, c, { in[c] = Dot::activations(words + c * stride, group); });
  BUNRAKU_UNROLL(Vectors, v, {
    const typename Dot::Weights w = Dot::weights(weights + v * dot_bytes<Dot>());
    BUNRAKU_UNROLL(Columns, c, { Dot::add_product(sum[c * Vectors + v], w, in[c]); });
  });
}

// One register tile: y[c][v] += W x[c] over the vectors from `weights` on.
template <class Dot, int Vectors, int Columns>
BUNRAKU_INLINE void multiply_tile(const std::byte* weights, std::int64_t group_bytes, int groups,
                                  const float* scale, const ActivationColumns& x, int column,
                                  float* y, std::int64_t y_stride) {
  const std::int64_t stride = x.stride;
  const std::uint32_t* words = x.words + column * stride;
  const float* scales = x.scale + column;
  typename Dot::Sum sum[Columns * Vectors];
  BUNRAKU_UNROLL(Columns * Vectors, i, {
    constexpr int c = i / Vectors, v = i % Vectors;
    sum[i] = Dot::begin(y + c * y_stride + v * kLanes, words + c * stride, groups);
  });
  int g = 0;
  if constexpr (Dot::groups_at_once == 2)
    for (; g + 2 <= groups; g += 2) {
      multiply_group<Dot, Vectors, Columns>(sum, weights, words, stride, g);
      multiply_group<Dot, Vectors, Columns>(sum, weights + group_bytes, words, stride, g + 1);
      weights += 2 * group_bytes;
    }
  for (; g < groups; ++g) {
    multiply_group<Dot, Vectors, Columns>(sum, weights, words, stride, g);
    weights += group_bytes;
  }
  BUNRAKU_UNROLL(Columns * Vectors, i, {
    constexpr int c = i / Vectors, v = i % Vectors;
    float* to = y + c * y_stride + v * kLanes;
    store(to, Dot::finish(sum[i], to, scale + v * kLanes, broadcast(scales[c])));
  });
}

template <class Dot, int Columns>
BUNRAKU_INLINE void multiply_columns(const MatrixPlan& matrix, const std::byte* tile, int first,
                                     int height, const ActivationColumns& x, int column, float* y,
                                     std::int64_t y_stride) {
  constexpr int bytes = dot_bytes<Dot>(), most = Dot::vectors(Columns);
  const auto run = [&](auto width, int v) {
    multiply_tile<Dot, decltype(width)::value, Columns>(
        tile + v * bytes, static_cast<std::int64_t>(height) * bytes, matrix.groups,
        matrix.scale + (first + v) * kLanes, x, column,
        y + column * y_stride + (first + v) * kLanes, y_stride);
  };
  int v = 0;
  for (; v + most <= height; v += most)
    run(Width<most>{}, v);
  if constexpr (most > 4)
    for (; v + 4 <= height; v += 4)
      run(Width<4>{}, v);
  if constexpr (most > 2)
    for (; v + 2 <= height; v += 2)
      run(Width<2>{}, v);
  for (; v < height; ++v)
    run(Width<1>{}, v);
}

// y[c] += W x[c].
template <class Dot>
void multiply(const MatrixPlan& matrix, const ActivationColumns& x, int columns, float* y,
              std::int64_t y_stride) {
  const std::byte* tile = matrix.data;
  for (int first = 0; first < matrix.vectors; first += kTileVectors) {
    const int height =
        matrix.vectors - first < kTileVectors ? matrix.vectors - first : kTileVectors;
    int c = 0;
    for (; c + 4 <= columns; c += 4)
      multiply_columns<Dot, 4>(matrix, tile, first, height, x, c, y, y_stride);
    for (; c + 2 <= columns; c += 2)
      multiply_columns<Dot, 2>(matrix, tile, first, height, x, c, y, y_stride);
    for (; c < columns; ++c)
      multiply_columns<Dot, 1>(matrix, tile, first, height, x, c, y, y_stride);
    tile += static_cast<std::int64_t>(height) * matrix.groups * dot_bytes<Dot>();
  }
}

} // namespace
} // namespace bunraku_kernels
