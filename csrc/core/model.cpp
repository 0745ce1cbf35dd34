#include "model.hpp"

#include "model_reader.hpp"

namespace bunraku {

Model::Model(const void* data, std::size_t size_bytes, const StageOptions& options)
    : m_isa(options.isa) {
  ModelSpec spec = read_model(data, size_bytes);
  m_name = std::move(spec.name);
  m_sample_rate_hz = spec.sample_rate_hz;
  m_chain = make_chain(spec.chain, m_sample_rate_hz, options, "", m_params);
}

} // namespace bunraku
