// Microphone in, transformed voice out. Blocks go to the worker and come back; what is played waits
// in a queue that is as short as the way allows: longer after a gap, shorter after a calm while.
const BLOCK = 256;
const LEAST_TARGET = 256;
const MOST_TARGET = 4096;
const FADE = 64;
const CALM_S = 3;
const SETTLE_S = 2; // gaps while all is being opened say nothing about the way
const REPORT_FRAMES = 9600;
const REMEMBERED = 4096;
const MOST_AGE_S = 0.5; // what comes back later is not heard: the newest counts

class Bridge extends AudioWorkletProcessor {
  constructor() {
    super();
    this.link = null;
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
    this.sequence = 0;
    this.beganMs = 0; // when the block's first sample was captured, since the epoch
    this.lateMs = 0;
    this.capturedAt = new Float64Array(REMEMBERED); // not counted up: a browser that lags skips frames
    this.queue = [];
    this.queued = 0;
    this.offset = 0;
    this.playing = false;
    this.target = 512;
    this.fade = 0;
    this.last = 0;
    this.calmSince = currentTime;
    this.leastQueued = Infinity;
    this.trips = [];
    this.gaps = 0;
    this.thrown = 0;
    this.nextReport = currentFrame + REPORT_FRAMES;
    this.port.onmessage = ({ data }) => {
      this.link = data.link;
      this.lateMs = data.lateMs; // of the microphone, as the browser says
      this.began = currentTime;
      this.link.onmessage = ({ data: block }) => this.arrive(block);
    };
  }

  arrive({ sequence, samples }) {
    const capturedFrame = this.capturedAt[sequence % REMEMBERED];
    if (currentFrame - capturedFrame > MOST_AGE_S * sampleRate) {
      this.thrown += samples.length;
      return;
    }
    this.queue.push({ samples, capturedFrame });
    this.queued += samples.length;
    if (this.queued > 4 * MOST_TARGET) this.throwAway(this.queued - this.target);
  }

  // Whole blocks from the front, until about `frames` fewer wait.
  throwAway(frames) {
    while (frames >= BLOCK && this.queue.length > 1) {
      const left = this.queue.shift().samples.length - this.offset;
      this.offset = 0;
      this.queued -= left;
      this.thrown += left;
      frames -= left;
      this.fade = 0;
    }
  }

  process([input], [output]) {
    const out = output[0];
    if (this.link) {
      this.capture(input[0], out.length);
      this.play(out);
      this.adapt(out.length);
    }
    for (let channel = 1; channel < output.length; channel++) output[channel].set(out);
    return true;
  }

  capture(samples, frames) {
    for (let i = 0; i < frames; i++) {
      if (this.filled === 0) {
        this.capturedAt[this.sequence % REMEMBERED] = currentFrame + i;
        this.beganMs = Date.now() - this.lateMs + (1e3 * (i - frames)) / sampleRate;
      }
      this.block[this.filled++] = samples ? samples[i] : 0;
      if (this.filled === BLOCK) {
        const full = this.block;
        this.block = new Float32Array(BLOCK);
        this.filled = 0;
        this.link.postMessage({ sequence: this.sequence++, samples: full, capturedMs: this.beganMs }, [full.buffer]);
      }
    }
  }

  play(out) {
    if (!this.playing && this.queued >= this.target) {
      this.playing = true;
      this.fade = 0;
    }
    for (let i = 0; i < out.length; i++) {
      if (this.playing && this.queued === 0) {
        this.playing = false;
        this.gaps++;
        this.calmSince = currentTime;
        if (currentTime - this.began > SETTLE_S) this.target = Math.min(MOST_TARGET, this.target + 128);
      }
      if (!this.playing) {
        out[i] = this.last *= 0.97;
        continue;
      }
      const head = this.queue[0];
      if (i === 0) this.trips.push(currentFrame - head.capturedFrame - this.offset);
      this.fade = Math.min(FADE, this.fade + 1);
      out[i] = this.last = head.samples[this.offset++] * (this.fade / FADE);
      this.queued--;
      if (this.offset === head.samples.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
  }

  // What always waited during the last report's time was not needed.
  adapt() {
    if (this.playing) this.leastQueued = Math.min(this.leastQueued, this.queued);
    if (currentFrame < this.nextReport) return;
    this.nextReport = currentFrame + REPORT_FRAMES;
    if (this.playing && this.leastQueued !== Infinity) {
      const spare = this.leastQueued - this.target;
      if (spare >= BLOCK) this.throwAway(spare);
    }
    this.leastQueued = Infinity;
    if (currentTime - this.calmSince > CALM_S && this.target > LEAST_TARGET) {
      this.target = Math.max(LEAST_TARGET, this.target - 128 * Math.ceil(this.target / 1024));
      this.calmSince = currentTime;
    }
    this.report();
  }

  report() {
    const ordered = this.trips.sort((a, b) => a - b);
    const at = (share) =>
      ordered.length ? (1e3 * ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))]) / sampleRate : 0;
    this.port.postMessage({
      count: ordered.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), gaps: this.gaps,
      thrownMs: (1e3 * this.thrown) / sampleRate, targetMs: (1e3 * this.target) / sampleRate,
    });
    this.trips = [];
    this.thrown = 0;
  }
}

registerProcessor("bunraku-bridge", Bridge);
