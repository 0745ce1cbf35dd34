/* bunraku.h alone is enough for a C program. */
#include <bunraku/bunraku.h>

int main(void) {
  bk_model* model = NULL;
  bk_stream_config config = {0};
  config.struct_size = (uint32_t)sizeof config;
  if (bk_abi_version() != BK_ABI_VERSION)
    return 1;
  if (bk_model_load_memory("not a model", 11, NULL, &model) != BK_ERROR_FORMAT || model != NULL)
    return 2;
  if (bk_last_error()[0] == '\0' || bk_version_string()[0] == '\0' || bk_isa_list()[0] == '\0')
    return 3;
  if (bk_stream_open(NULL, &config, NULL) != BK_ERROR_INVALID_ARGUMENT)
    return 4;
  /* A size that ends within a field is no struct's: `isa` would be half a pointer. */
  bk_load_config load = {0};
  load.isa = "portable";
  for (load.struct_size = 0; load.struct_size < sizeof load; ++load.struct_size)
    if (load.struct_size != 2 * sizeof(uint32_t) &&
        bk_model_load_memory("not a model", 11, &load, &model) != BK_ERROR_INVALID_ARGUMENT)
      return 5;
  return 0;
}
