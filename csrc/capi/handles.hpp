// What the opaque handles of bunraku.h are, for the parts of this library that meet them as C++.
#pragma once

#include <atomic>
#include <memory>

#include "bunraku/bunraku.h"
#include "core/stream.hpp"

struct bk_model {
  explicit bk_model(std::shared_ptr<const bunraku::Model> shared) : model(std::move(shared)) {}
  const std::shared_ptr<const bunraku::Model> model;
  std::atomic<int> references{1};
};

struct bk_stream {
  bk_stream(std::shared_ptr<const bunraku::Model> model, const bunraku::StreamConfig& config)
      : stream(std::move(model), config) {}
  bunraku::Stream stream;
};
