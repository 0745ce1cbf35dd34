// Denormals cost a hundred cycles each and carry no sound: off for a scope, as found afterwards.
#pragma once

#include <cstdint>

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace bunraku {

class FlushDenormals {
public:
#if defined(__SSE2__) || defined(_M_X64)
  FlushDenormals() noexcept : m_saved(_mm_getcsr()) { _mm_setcsr(m_saved | 0x8040u); } // FTZ, DAZ
  ~FlushDenormals() { _mm_setcsr(m_saved); }

private:
  unsigned m_saved;
#elif defined(__aarch64__)
  FlushDenormals() noexcept {
    asm volatile("mrs %0, fpcr" : "=r"(m_saved));
    asm volatile("msr fpcr, %0" ::"r"(m_saved | (std::uint64_t{1} << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(m_saved)); }

private:
  std::uint64_t m_saved;
#else
  FlushDenormals() noexcept {}
  ~FlushDenormals() {}
#endif

public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

} // namespace bunraku
