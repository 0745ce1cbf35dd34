#!/bin/sh
# AddressSanitizer and UBSan over the loader and the streams, ThreadSanitizer over the rings and the
# swap. Needs cmake, ninja and a compiler with sanitizers (gcc or clang) on PATH.
set -eu
cd "$(dirname "$0")/../.."
build() { # kind, targets...
  kind=$1
  shift
  echo "· building with -fsanitize=$kind"
  cmake -S . -B "build/$kind" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DBUNRAKU_TESTS=ON \
    -DBUNRAKU_PYTHON=OFF -DBUNRAKU_SANITIZE="$kind" >/dev/null
  cmake --build "build/$kind" --target "$@" >"build/$kind/log" || { cat "build/$kind/log"; exit 1; }
}

build address test_mutated_files test_swap test_stream_threads
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
build/address/tests/native/test_mutated_files "${MUTATIONS:-10000}"
build/address/tests/native/test_swap
build/address/tests/native/test_stream_threads 50
if cmake --build build/address --target help | grep -q test_cuda_emulator; then
  build address test_cuda_emulator test_cuda_platform
  build/address/tests/native/test_cuda_emulator
  build/address/tests/native/test_cuda_platform
else
  echo "· no CUDA toolkit: its emulator is not sanitized"
fi

build thread test_stream_threads test_spsc_ring test_ring_bridge test_live_engine
export TSAN_OPTIONS=halt_on_error=1
build/thread/tests/native/test_stream_threads 60
for ring in spsc_ring ring_bridge live_engine; do
  status=0
  build/thread/tests/native/test_$ring || status=$?
  [ $status -eq 0 ] || [ $status -eq 77 ] || exit $status
done
echo "· no sanitizer objects"
