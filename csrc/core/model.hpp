// A loaded model: immutable, shared by any number of threads and streams.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "parameters.hpp"
#include "stage_factory.hpp"

namespace bunraku {

class Model {
public:
  // Throws Error. Control thread.
  Model(const void* data, std::size_t size_bytes, const StageOptions& options);

  const std::string& name() const noexcept { return m_name; }
  double sample_rate_hz() const noexcept { return m_sample_rate_hz; }
  Isa isa() const noexcept { return m_isa; }
  const std::vector<ParamInfo>& params() const noexcept { return m_params; }
  const std::shared_ptr<const Stage>& chain() const noexcept { return m_chain; }

private:
  std::string m_name;
  double m_sample_rate_hz;
  Isa m_isa;
  std::vector<ParamInfo> m_params;
  std::shared_ptr<const Stage> m_chain;
};

} // namespace bunraku
