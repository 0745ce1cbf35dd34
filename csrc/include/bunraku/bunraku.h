/* bunraku.h - the C ABI of bunraku's real-time core.
 *
 * Weights and streams are separate: a bk_model is immutable and may be shared by any number of
 * threads and streams; a bk_stream is the state of one performance (1 to BK_MAX_CHANNELS channels).
 *
 * Each declaration carries one thread tag:
 *   [any]      callable from any thread at any time
 *   [control]  a thread that may block and allocate; calls on one stream must not overlap
 *   [audio]    the real-time thread: never allocates, locks, logs or enters the kernel;
 *              one caller at a time per stream, concurrently with [control] and [any]
 *
 * No exception crosses this boundary. Every config struct starts with `struct_size`, which the
 * caller sets to sizeof(that struct), so that a newer library serves older programs: fields that
 * the caller's struct ends before have their defaults (or are not filled in). A caller's struct may
 * be longer than the library's if what the library does not know is zero.
 *
 * Licence: MIT.
 */
#ifndef BUNRAKU_BUNRAKU_H
#define BUNRAKU_BUNRAKU_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(BK_BUILDING)
#define BK_API __declspec(dllexport)
#else
#define BK_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define BK_API __attribute__((visibility("default")))
#else
#define BK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define BK_ABI_VERSION 1u
#define BK_MAX_CHANNELS 8u
#define BK_MAX_BLOCK_FRAMES 8192u

typedef struct bk_model bk_model;
typedef struct bk_stream bk_stream;

typedef enum bk_status {
  BK_OK = 0,
  BK_ERROR_INVALID_ARGUMENT = 1, /* a null pointer, a number out of range, a wrong struct_size */
  BK_ERROR_IO = 2,               /* the file cannot be read */
  BK_ERROR_FORMAT = 3,           /* not a bunraku model file, damaged, or made by a newer version */
  BK_ERROR_UNSUPPORTED = 4,      /* well-formed, but beyond the limits of this build or machine */
  BK_ERROR_OUT_OF_MEMORY = 5,
  BK_ERROR_BUSY = 6,    /* a swap is still in progress; try again after the crossfade */
  BK_ERROR_INTERNAL = 7 /* a defect of bunraku: please report it */
} bk_status;

/* The version of this ABI the library implements; compare with BK_ABI_VERSION. [any] */
BK_API uint32_t bk_abi_version(void);

/* The release of the library, "MAJOR.MINOR.PATCH". [any] */
BK_API const char* bk_version_string(void);

/* A short English name of a status code; never NULL. [any] */
BK_API const char* bk_status_string(bk_status status);

/* What the last failed [control] call on this thread objected to, with the remedy; "" after none.
 * Calls tagged [any] and [audio] report by their status alone.
 * Valid until the next bunraku call on this thread. [control] */
BK_API const char* bk_last_error(void);

/* The instruction sets usable on this machine, best first, comma-separated: "avx512,avx2,portable".
 * [any] */
BK_API const char* bk_isa_list(void);

/* ---- models -------------------------------------------------------------------------------- */

typedef struct bk_load_config {
  uint32_t struct_size;
  uint32_t force_general; /* 1: use the general path even where a fast one exists (for tests) */
  const char* isa;        /* one of bk_isa_list(), or NULL: $BUNRAKU_ISA if set, else the best */
} bk_load_config;

/* Load a flat model file (`bunraku export` writes it). `config` may be NULL.
 * On success *model has one reference. [control] */
BK_API bk_status bk_model_load_file(const char* path, const bk_load_config* config,
                                    bk_model** model);
BK_API bk_status bk_model_load_memory(const void* data, size_t size_bytes,
                                      const bk_load_config* config, bk_model** model);

/* Reference counting; the last release frees. Streams hold their own reference. NULL is ignored.
 * [control] */
BK_API void bk_model_retain(bk_model* model);
BK_API void bk_model_release(bk_model* model);

typedef struct bk_model_info {
  uint32_t struct_size;
  uint32_t param_count;
  double sample_rate_hz;           /* the rate the weights were trained at */
  uint32_t receptive_field_frames; /* at sample_rate_hz; how far back an input frame is heard */
  uint32_t fast_path;              /* 1: every network of the chain runs on its fast path */
  double flop_per_frame;           /* multiply and add counted as two, networks only */
  char isa[16];
  char name[64];
} bk_model_info;

/* Fill *info; set info->struct_size first. [any] */
BK_API bk_status bk_model_get_info(const bk_model* model, bk_model_info* info);

typedef struct bk_param_info {
  uint32_t struct_size;
  float minimum, maximum, initial;
  char name[48]; /* unique in the model: "0.gain_db" is the gain of the chain's first effect */
  char unit[16]; /* "dB", "ratio" */
} bk_param_info;

BK_API bk_status bk_model_get_param_info(const bk_model* model, uint32_t index,
                                         bk_param_info* info); /* [any] */

/* ---- streams ------------------------------------------------------------------------------- */

typedef struct bk_stream_config {
  uint32_t struct_size;
  uint32_t channels;         /* 1 to BK_MAX_CHANNELS; each is one voice of the shared weights */
  double sample_rate_hz;     /* of the caller; 0 = the model's. Another rate is resampled inside */
  uint32_t max_block_frames; /* 1 to BK_MAX_BLOCK_FRAMES; process() takes any count up to it */
  uint32_t crossfade_frames; /* length of the equal-power crossfade of a swap; 0 = 10 ms */
  float size;                /* slimmable models: 0 to 1, how much of the network to use; 1 = all */
} bk_stream_config;

/* Allocate, prewarm (the state is as after a long silence) and pre-touch everything process()
 * will need. [control] */
BK_API bk_status bk_stream_open(bk_model* model, const bk_stream_config* config,
                                bk_stream** stream);

/* Free a stream. No other call on it may be running. NULL is ignored. [control] */
BK_API void bk_stream_close(bk_stream* stream);

/* Run `frames` frames (0 to max_block_frames) of planar float samples: in[channel][frame] to
 * out[channel][frame]. in[c] and out[c] may be the same pointer. NaN and infinite input samples
 * are taken as 0. [audio] */
BK_API bk_status bk_stream_process(bk_stream* stream, const float* const* in, float* const* out,
                                   uint32_t frames);

/* The same for interleaved samples, channels as configured. [audio] */
BK_API bk_status bk_stream_process_interleaved(bk_stream* stream, const float* in, float* out,
                                               uint32_t frames);

/* Set a parameter by index; it glides there without a click. [any] */
BK_API bk_status bk_stream_set_param(bk_stream* stream, uint32_t index, float value);
BK_API bk_status bk_stream_get_param(const bk_stream* stream, uint32_t index, float* value);

/* Open `model` for this stream and hand it to the audio thread, which crossfades to it; the old one
 * is freed by the next control call. Parameters start from the new model's initial values.
 * BK_ERROR_BUSY while the previous swap is not finished. [control] */
BK_API bk_status bk_stream_swap(bk_stream* stream, bk_model* model);

/* 1 while a swap waits for the audio thread or crossfades. Frees what was retired. [control] */
BK_API uint32_t bk_stream_swap_pending(bk_stream* stream);

/* Back to the prewarmed state, parameters kept. [audio] */
BK_API bk_status bk_stream_reset(bk_stream* stream);

/* Delay from input to output in frames at the stream's rate, resampling included. [any] */
BK_API uint32_t bk_stream_latency_frames(const bk_stream* stream);

#ifdef __cplusplus
}
#endif
#endif
