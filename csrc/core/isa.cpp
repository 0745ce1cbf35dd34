#include "isa.hpp"

#include <cstdlib>

#include "stage.hpp"

namespace bunraku {

const char* isa_name(Isa isa) noexcept {
  switch (isa) {
  case Isa::Avx512:
    return "avx512";
  case Isa::Avx2:
    return "avx2";
  case Isa::Neon:
    return "neon";
  default:
    return "portable";
  }
}

std::vector<Isa> isas_at_hand() {
  std::vector<Isa> isas;
#if defined(BUNRAKU_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("fma"))
    isas.push_back(Isa::Avx512);
#endif
#if defined(BUNRAKU_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    isas.push_back(Isa::Avx2);
#endif
#if defined(__ARM_NEON)
  isas.push_back(Isa::Neon);
#endif
  isas.push_back(Isa::Portable);
  return isas;
}

Isa choose_isa(const char* name) {
  const std::vector<Isa> isas = isas_at_hand();
  if (name == nullptr || *name == '\0')
    name = std::getenv("BUNRAKU_ISA");
  if (name == nullptr || *name == '\0')
    return isas.front();
  std::string list;
  for (Isa isa : isas) {
    if (std::string(name) == isa_name(isa))
      return isa;
    list += (list.empty() ? "" : ", ") + std::string(isa_name(isa));
  }
  throw Error(BK_ERROR_UNSUPPORTED, "the instruction set '" + std::string(name) +
                                        "' is not usable here; choose one of: " + list);
}

} // namespace bunraku
