// Hands out a network's weights in the .nam format's order. The reader has checked their number.
#pragma once

#include <cassert>
#include <vector>

namespace bunraku {

class WeightCursor {
public:
  explicit WeightCursor(const std::vector<float>& weights)
      : m_next(weights.data()), m_end(weights.data() + weights.size()) {}

  float next() {
    assert(m_next != m_end);
    return *m_next++;
  }

  std::vector<float> take(int count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values)
      value = next();
    return values;
  }

  bool done() const { return m_next == m_end; }

private:
  const float* m_next;
  const float* m_end;
};

} // namespace bunraku
