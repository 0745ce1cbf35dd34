// bunraku_kernels._native: operators for CPUs.
#include "bindings.hpp"
#include "core/isa.hpp"

PYBIND11_MODULE(_native, module) {
  module.doc() = "Operators in C++ with SIMD; called by the op.py of each operator.";
  module.def(
      "isa_list",
      [] {
        std::vector<const char*> names;
        for (const bunraku::Isa isa : bunraku::isas_at_hand())
          names.push_back(bunraku::isa_name(isa));
        pybind11::list list;
        for (const char* name : names)
          list.append(name);
        return list;
      },
      "Instruction sets usable here, best first.");
  for (const bunraku_kernels::Bind bind : bunraku_kernels::bindings())
    bind(module);
}
