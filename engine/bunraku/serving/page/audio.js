// The microphone through the server and back: worklet, worker, and what is heard.
const MOST_WAIT_MS = 500;
const NOTICED_MS = 8;

export class Voice {
  constructor(onFigures, onTrouble) {
    this.onFigures = onFigures;
    this.onTrouble = onTrouble;
    this.listening = false;
    this.inStep = true;
    this.waitsMs = 0;
  }

  async start(stream, address) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/page/audio_worklet.js");
    await this.context.resume();
    const context = this.context;
    this.source = context.createMediaStreamSource(stream);
    this.bridge = new AudioWorkletNode(context, "bunraku-bridge", { outputChannelCount: [1] });
    this.bridge.port.onmessage = ({ data }) => this.onFigures(data);
    this.heard = context.createGain();
    this.heard.gain.value = this.listening ? 1 : 0;
    this.waiting = context.createDelay(MOST_WAIT_MS / 1e3);
    this.waitsMs = 0;
    this.source.connect(this.bridge).connect(this.waiting).connect(this.heard).connect(context.destination);
    const { port1, port2 } = new MessageChannel();
    this.worker = new Worker("/page/audio_worker.js");
    this.worker.onmessage = ({ data }) => this.onTrouble(data.error || data.closed);
    this.worker.postMessage({ port: port2, address, rate: context.sampleRate }, [port2]);
    const [track] = stream.getAudioTracks();
    this.bridge.port.postMessage({ link: port1, lateMs: 1e3 * (track.getSettings().latency || 0) }, [port1]);
  }

  // Wait for a slower picture, so that lips stay in step: only as exactly as anybody notices.
  keepStep(pictureMs, voiceMs) {
    if (!this.waiting) return;
    const heardMs = voiceMs + 1e3 * (this.context.outputLatency || 0);
    const wanted = this.inStep && pictureMs !== null ? Math.min(MOST_WAIT_MS, Math.max(0, pictureMs - heardMs)) : 0;
    if (Math.abs(wanted - this.waitsMs) < NOTICED_MS && (wanted > 0 || this.waitsMs === 0)) return;
    this.waitsMs = wanted;
    this.waiting.delayTime.setTargetAtTime(wanted / 1e3, this.context.currentTime, 0.1);
  }

  listen(on) {
    this.listening = on;
    if (this.heard) this.heard.gain.setTargetAtTime(on ? 1 : 0, this.context.currentTime, 0.02);
  }

  async stop() {
    if (this.worker) {
      this.worker.onmessage = null;
      this.worker.postMessage({ stop: true });
    }
    if (this.source) this.source.disconnect();
    if (this.context) await this.context.close();
    this.worker = this.source = this.context = this.heard = this.waiting = null;
    this.waitsMs = 0;
  }
}
