// Which instruction sets this build and machine have, and the choice among them.
#pragma once

#include <string>
#include <vector>

namespace bunraku {

enum class Isa { Portable, Avx2, Avx512, Neon };

const char* isa_name(Isa isa) noexcept; // "portable", "avx2", "avx512", "neon"

// Usable here, best first; always ends with Portable.
std::vector<Isa> isas_at_hand();

// `name` null or empty: $BUNRAKU_ISA when set, else the best. Throws Error that lists those at
// hand.
Isa choose_isa(const char* name);

} // namespace bunraku
