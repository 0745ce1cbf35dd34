#include "lstm_general.hpp"

#include <algorithm>

#include "exact_math.hpp"
#include "network_shape.hpp"
#include "weight_cursor.hpp"

namespace bunraku {
namespace {

struct Cell {
  int input_size, hidden_size;
  std::vector<float>
      weights;               // [input + hidden][4 * hidden]: a column of the file's matrix together
  std::vector<float> biases; // [4 * hidden]: input, forget, candidate, output
  std::vector<float> hidden, cell; // where the state starts
};

struct Head {
  std::vector<float> weights; // [out][hidden]
  std::vector<float> biases;  // [out]
};

Cell make_cell(int input_size, int hidden_size, WeightCursor& weights) {
  Cell cell{input_size, hidden_size, {}, {}, {}, {}};
  const int columns = input_size + hidden_size;
  const int rows = 4 * hidden_size;
  cell.weights.resize(static_cast<std::size_t>(columns * rows));
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      cell.weights[static_cast<std::size_t>(column * rows + row)] = weights.next();
  cell.biases = weights.take(rows);
  cell.hidden = weights.take(hidden_size);
  cell.cell = weights.take(hidden_size);
  return cell;
}

class LstmVoice final : public Voice {
public:
  LstmVoice(const std::vector<Cell>& cells, const Head& head, int in_channels,
            double flop_per_frame)
      : m_cells(cells), m_head(head), m_input(static_cast<std::size_t>(in_channels)) {
    std::size_t widest = 0;
    for (const Cell& cell : cells) {
      m_state.insert(m_state.end(), cell.hidden.begin(), cell.hidden.end());
      m_state.insert(m_state.end(), cell.cell.begin(), cell.cell.end());
      widest = std::max(widest, cell.biases.size());
    }
    m_gates.resize(widest);
    prewarm(flop_per_frame);
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    const auto hidden = static_cast<std::size_t>(m_cells.back().hidden_size);
    for (int frame = 0; frame < frames; ++frame) {
      for (std::size_t channel = 0; channel < m_input.size(); ++channel)
        m_input[channel] = in[channel][frame];
      const float* top = step();
      for (std::size_t channel = 0; channel < m_head.biases.size(); ++channel) {
        const float* row = m_head.weights.data() + channel * hidden;
        float sum = m_head.biases[channel];
        for (std::size_t i = 0; i < hidden; ++i)
          sum += row[i] * top[i];
        out[channel][frame] = sum;
      }
    }
  }

  void reset() noexcept override { std::copy(m_kept.begin(), m_kept.end(), m_state.begin()); }
  void keep_as_prewarmed() override { m_kept = m_state; }

private:
  // One frame through all layers; returns the last one's hidden state.
  const float* step() noexcept {
    const float* heard = m_input.data();
    float* state = m_state.data();
    for (const Cell& cell : m_cells) {
      const auto hidden = static_cast<std::size_t>(cell.hidden_size);
      step_cell(cell, heard, state, state + hidden);
      heard = state;
      state += 2 * hidden;
    }
    return heard;
  }

  void step_cell(const Cell& cell, const float* heard, float* hidden, float* memory) noexcept {
    const auto size = static_cast<std::size_t>(cell.hidden_size);
    const std::size_t rows = 4 * size;
    float* gates = m_gates.data();
    std::copy(cell.biases.begin(), cell.biases.end(), gates);
    const float* column = cell.weights.data();
    for (int i = 0; i < cell.input_size; ++i, column += rows)
      for (std::size_t row = 0; row < rows; ++row)
        gates[row] += column[row] * heard[i];
    for (std::size_t i = 0; i < size; ++i, column += rows)
      for (std::size_t row = 0; row < rows; ++row)
        gates[row] += column[row] * hidden[i];
    for (std::size_t i = 0; i < size; ++i) {
      memory[i] = exact_sigmoid(gates[size + i]) * memory[i] +
                  exact_sigmoid(gates[i]) * exact_tanh(gates[2 * size + i]);
      hidden[i] = exact_sigmoid(gates[3 * size + i]) * exact_tanh(memory[i]);
    }
  }

  // Half a second of silence, as the format's reference player does it, ended early where the state
  // stands still (then nothing would change any more) or where a huge stranger would take minutes.
  void prewarm(double flop_per_frame) {
    std::fill(m_input.begin(), m_input.end(), 0.0f);
    const double affordable = 4e9 / std::max(flop_per_frame, 1.0);
    const int most =
        static_cast<int>(std::min<double>(kLstmPrewarmFrames, std::max(affordable, 256.0)));
    std::vector<float> before;
    for (int frame = 0; frame < most && before != m_state; ++frame) {
      before = m_state;
      step();
    }
    keep_as_prewarmed();
  }

  const std::vector<Cell>& m_cells;
  const Head& m_head;
  std::vector<float> m_input, m_state, m_kept, m_gates; // state: hidden and memory of each layer
};

class LstmStage final : public Stage {
public:
  explicit LstmStage(const LstmSpec& spec) : m_shape(shape_of(spec)) {
    WeightCursor weights(spec.weights);
    for (int layer = 0; layer < spec.layer_count; ++layer)
      m_cells.push_back(
          make_cell(layer == 0 ? spec.input_size : spec.hidden_size, spec.hidden_size, weights));
    m_head.weights = weights.take(spec.out_channels * spec.hidden_size);
    m_head.biases = weights.take(spec.out_channels);
  }

  std::unique_ptr<Voice> open_voice(const VoiceConfig&) const override {
    return std::make_unique<LstmVoice>(m_cells, m_head, m_shape.in_channels,
                                       m_shape.flop_per_frame);
  }
  int in_channels() const noexcept override { return m_shape.in_channels; }
  int out_channels() const noexcept override { return m_shape.out_channels; }
  int receptive_field_frames() const noexcept override { return kLstmPrewarmFrames; }
  double flop_per_frame() const noexcept override { return m_shape.flop_per_frame; }
  bool is_fast() const noexcept override { return false; }

private:
  NetworkShape m_shape;
  std::vector<Cell> m_cells;
  Head m_head;
};

} // namespace

std::unique_ptr<Stage> make_lstm_general(const LstmSpec& spec) {
  return std::make_unique<LstmStage>(spec);
}

} // namespace bunraku
