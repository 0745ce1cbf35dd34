// bunraku.h alone is enough for a C++ program.
#include <bunraku/bunraku.h>

int main() {
  bk_model* model = nullptr;
  const bool refused = bk_model_load_file("/nowhere", nullptr, &model) == BK_ERROR_IO;
  bk_model_release(nullptr);
  bk_stream_close(nullptr);
  return refused && model == nullptr && bk_stream_latency_frames(nullptr) == 0 ? 0 : 1;
}
