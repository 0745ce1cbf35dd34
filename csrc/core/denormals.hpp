// Numbers too small to hear cost a hundred times more to compute with: off while we process, and
// the host's setting back afterwards. Audio thread.
#pragma once

#include <cstdint>

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace bunraku {

class DenormalsOff {
public:
#if defined(__SSE__) || defined(_M_X64)
  DenormalsOff() noexcept : m_before(_mm_getcsr()) { _mm_setcsr(m_before | 0x8040u); } // FTZ, DAZ
  ~DenormalsOff() { _mm_setcsr(m_before); }

private:
  unsigned int m_before;
#elif defined(__aarch64__) && defined(__GNUC__)
  DenormalsOff() noexcept {
    __asm__ volatile("mrs %0, fpcr" : "=r"(m_before));
    const std::uint64_t flush = m_before | (std::uint64_t{1} << 24); // FZ
    __asm__ volatile("msr fpcr, %0" : : "r"(flush));
  }
  ~DenormalsOff() { __asm__ volatile("msr fpcr, %0" : : "r"(m_before)); }

private:
  std::uint64_t m_before;
#else
  DenormalsOff() noexcept {}
#endif

public:
  DenormalsOff(const DenormalsOff&) = delete;
  DenormalsOff& operator=(const DenormalsOff&) = delete;
};

} // namespace bunraku
