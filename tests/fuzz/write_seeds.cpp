// Writes one valid file of each kind into the folder given: where the fuzzer starts from.
#include <fstream>

#include "model_bytes.hpp"

int main(int argc, char** argv) {
  if (argc != 2)
    return 2;
  int index = 0;
  for (const model_bytes::Named& kind : model_bytes::every_kind()) {
    std::ofstream file(std::string(argv[1]) + "/" + std::to_string(index++) + ".bnk",
                       std::ios::binary);
    file.write(reinterpret_cast<const char*>(kind.bytes.data()),
               static_cast<std::streamsize>(kind.bytes.size()));
    if (!file)
      return 1;
  }
  return 0;
}
