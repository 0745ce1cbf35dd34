// From what a file says to what makes sound. Control thread.
#pragma once

#include <memory>
#include <vector>

#include "isa.hpp"
#include "model_spec.hpp"
#include "parameters.hpp"
#include "stage.hpp"

namespace bunraku {

struct StageOptions {
  Isa isa = Isa::Portable;
  bool force_general = false;
};

// A network of any kind: its fast path where a strict detector knows the shape, else the general
// one.
std::unique_ptr<Stage> make_network(const NodeSpec& node, const StageOptions& options);

// A chain at `sample_rate_hz`; appends its parameters to `params`, named below `path`.
std::unique_ptr<Stage> make_chain(const ChainSpec& chain, double sample_rate_hz,
                                  const StageOptions& options, const std::string& path,
                                  std::vector<ParamInfo>& params);

} // namespace bunraku
