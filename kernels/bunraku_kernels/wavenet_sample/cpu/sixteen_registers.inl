// What the instruction sets with 16 vector registers share; the unit has its vector type before it.
namespace bunraku {
namespace {

inline Vec gate_product(Vec a, Vec b) {
  const Vec half = broadcast(0.5f);
  return mul(tanh_approx(a), mul_add(half, tanh_approx(mul(half, b)), half));
}

// 16 registers: 8 sums, beside the activations of each column and a vector of weights.
constexpr int tile_vectors(int columns) {
  return columns >= 4 ? 2 : columns >= 2 ? 4 : 8;
}

} // namespace
} // namespace bunraku
