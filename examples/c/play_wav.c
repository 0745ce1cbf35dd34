/* Play a WAV file through a model with bunraku's C library, block by block as an audio callback
 * would.
 *
 *   cc -std=c99 play_wav.c -I<prefix>/include -L<prefix>/lib -lbunraku -o play_wav
 *   ./play_wav model.bnk in.wav out.wav
 *
 * Reads 16-bit, 32-bit integer and 32-bit float WAV files of 1 to 8 channels; writes 32-bit float.
 * The output is as long as the input and starts with it: the latency is cut off at the front.
 */
#include <bunraku/bunraku.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FRAMES = 256 };

typedef struct wav {
  uint32_t channels, sample_rate_hz, frames;
  float* samples; /* interleaved */
} wav;

static uint32_t load_le(const unsigned char* bytes, int count) {
  uint32_t value = 0;
  while (count-- > 0)
    value = value << 8 | bytes[count];
  return value;
}

static void store_le(unsigned char* bytes, uint32_t value, int count) {
  int i;
  for (i = 0; i < count; ++i)
    bytes[i] = (unsigned char)(value >> (8 * i));
}

static float sample_of(const unsigned char* bytes, uint32_t format, uint32_t bits) {
  float sample;
  uint32_t word = load_le(bytes, (int)bits / 8);
  if (format == 3) {
    memcpy(&sample, &word, sizeof sample);
    return sample;
  }
  return (float)(int32_t)(bits == 16 ? word << 16 : word) / 2147483648.0f;
}

/* 1 on success. A chunk that does not fit is refused: files can come from anywhere. */
static int read_wav(const char* path, wav* out) {
  unsigned char header[12], chunk[8], format_chunk[16];
  uint32_t format = 0, bits = 0, i;
  FILE* file = fopen(path, "rb");
  if (file == NULL)
    return 0;
  memset(out, 0, sizeof *out);
  if (fread(header, 1, 12, file) != 12 || memcmp(header, "RIFF", 4) != 0 ||
      memcmp(header + 8, "WAVE", 4) != 0)
    goto done;
  while (fread(chunk, 1, 8, file) == 8) {
    const uint32_t size = load_le(chunk + 4, 4);
    if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
      if (fread(format_chunk, 1, 16, file) != 16)
        goto done;
      format = load_le(format_chunk, 2);
      out->channels = load_le(format_chunk + 2, 2);
      out->sample_rate_hz = load_le(format_chunk + 4, 4);
      bits = load_le(format_chunk + 14, 2);
      if (fseek(file, (long)(size - 16 + size % 2), SEEK_CUR) != 0)
        goto done;
    } else if (memcmp(chunk, "data", 4) == 0) {
      const int known = (format == 1 && (bits == 16 || bits == 32)) || (format == 3 && bits == 32);
      unsigned char* data;
      if (!known || out->channels < 1 || out->channels > BK_MAX_CHANNELS || size > 1u << 30)
        goto done;
      data = malloc(size + 1u);
      if (data != NULL && fread(data, 1, size, file) == size) {
        const uint32_t count = size / (bits / 8);
        out->frames = count / out->channels;
        out->samples = malloc(sizeof(float) * ((size_t)count + 1u));
        for (i = 0; out->samples != NULL && i < count; ++i)
          out->samples[i] = sample_of(data + (size_t)i * (bits / 8), format, bits);
      }
      free(data);
      break;
    } else if (fseek(file, (long)(size + size % 2), SEEK_CUR) != 0) {
      break;
    }
  }
done:
  fclose(file);
  return out->samples != NULL;
}

static int write_wav(const char* path, const wav* in) {
  unsigned char header[44] = {0};
  unsigned char bytes[4];
  const uint32_t count = in->frames * in->channels;
  uint32_t i, word;
  int ok;
  FILE* file = fopen(path, "wb");
  if (file == NULL)
    return 0;
  memcpy(header, "RIFF", 4);
  store_le(header + 4, 36 + 4 * count, 4);
  memcpy(header + 8, "WAVEfmt ", 8);
  store_le(header + 16, 16, 4);
  store_le(header + 20, 3, 2);
  store_le(header + 22, in->channels, 2);
  store_le(header + 24, in->sample_rate_hz, 4);
  store_le(header + 28, 4 * in->channels * in->sample_rate_hz, 4);
  store_le(header + 32, 4 * in->channels, 2);
  store_le(header + 34, 32, 2);
  memcpy(header + 36, "data", 4);
  store_le(header + 40, 4 * count, 4);
  ok = fwrite(header, 1, 44, file) == 44;
  for (i = 0; ok && i < count; ++i) {
    memcpy(&word, in->samples + i, 4);
    store_le(bytes, word, 4);
    ok = fwrite(bytes, 1, 4, file) == 4;
  }
  return fclose(file) == 0 && ok;
}

/* In place, and then as long again as the latency with silence, which pushes the last sound out. */
static bk_status play(bk_stream* stream, wav* sound) {
  const uint32_t latency = bk_stream_latency_frames(stream);
  const uint32_t channels = sound->channels;
  float block[BLOCK_FRAMES * BK_MAX_CHANNELS];
  uint32_t done, frames, i;
  for (done = 0; done < sound->frames + latency; done += frames) {
    bk_status status;
    const uint32_t left = sound->frames + latency - done;
    frames = left < BLOCK_FRAMES ? left : BLOCK_FRAMES;
    for (i = 0; i < frames * channels; ++i) {
      const uint32_t at = done * channels + i;
      block[i] = at < sound->frames * channels ? sound->samples[at] : 0.0f;
    }
    status = bk_stream_process_interleaved(stream, block, block, frames);
    if (status != BK_OK)
      return status;
    for (i = 0; i < frames; ++i)
      if (done + i >= latency)
        memcpy(sound->samples + (size_t)(done + i - latency) * channels,
               block + (size_t)i * channels, channels * sizeof(float));
  }
  return BK_OK;
}

int main(int argc, char** argv) {
  wav sound;
  bk_model* model = NULL;
  bk_stream* stream = NULL;
  bk_stream_config config = {0};
  bk_status status;
  if (argc != 4) {
    fprintf(stderr, "usage: play_wav MODEL.bnk IN.wav OUT.wav\n");
    return 2;
  }
  if (!read_wav(argv[2], &sound)) {
    fprintf(stderr, "%s: no readable WAV file of 16 or 32 bits and 1 to 8 channels\n", argv[2]);
    return 2;
  }
  config.struct_size = (uint32_t)sizeof config;
  config.channels = sound.channels;
  config.sample_rate_hz = sound.sample_rate_hz;
  config.max_block_frames = BLOCK_FRAMES;
  config.size = 1.0f;
  status = bk_model_load_file(argv[1], NULL, &model);
  if (status == BK_OK)
    status = bk_stream_open(model, &config, &stream);
  if (status != BK_OK) {
    fprintf(stderr, "%s: %s\n", bk_status_string(status), bk_last_error());
    bk_model_release(model);
    free(sound.samples);
    return 2;
  }
  bk_model_release(model); /* the stream holds its own reference */
  status = play(stream, &sound);
  bk_stream_close(stream);
  if (status != BK_OK || !write_wav(argv[3], &sound)) {
    fprintf(stderr, "%s: cannot be written\n", argv[3]);
    free(sound.samples);
    return 1;
  }
  free(sound.samples);
  return 0;
}
