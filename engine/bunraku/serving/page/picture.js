// The camera's picture to the server and back, by WebRTC on this machine or network only.
export class Picture {
  // onLost: the connection broke, or never came to be.
  constructor(control, onLost) {
    this.control = control;
    this.onLost = onLost;
    this.before = {};
  }

  // stream: the camera's; null: the server has the camera, and both pictures come from there.
  async start(stream, beforeVideo, afterVideo) {
    const peer = new RTCPeerConnection({ iceServers: [] });
    this.peer = peer;
    this.afterVideo = afterVideo;
    const arrived = stream ? [afterVideo] : [beforeVideo, afterVideo];
    let size = { width: 640, height: 480, frameRate: 30 };
    if (stream) {
      const [track] = stream.getVideoTracks();
      track.contentHint = "motion";
      size = { ...size, ...track.getSettings() };
      const transceiver = peer.addTransceiver(track, { direction: "sendrecv", streams: [stream] });
      this.preferVp8(transceiver);
      await this.keepSize(transceiver.sender);
    } else {
      for (const _ of arrived) this.preferVp8(peer.addTransceiver("video", { direction: "recvonly" }));
    }
    peer.ontrack = ({ receiver, track }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      const video = arrived[peer.getReceivers().indexOf(receiver)] || afterVideo;
      video.srcObject = new MediaStream([track]);
    };
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "failed" && peer === this.peer) this.onLost();
    };
    await peer.setLocalDescription(await peer.createOffer());
    await this.gathered(peer);
    this.control.send({
      type: "offer", sdp: peer.localDescription.sdp, width: Math.round(size.width),
      height: Math.round(size.height), rate_hz: Math.min(60, Math.max(1, size.frameRate || 30)),
    });
  }

  preferVp8(transceiver) {
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    const vp8 = codecs.filter(({ mimeType }) => mimeType === "video/VP8");
    const rtx = codecs.filter(({ mimeType }) => mimeType === "video/rtx");
    if (vp8.length && transceiver.setCodecPreferences) transceiver.setCodecPreferences([...vp8, ...rtx]);
  }

  async keepSize(sender) {
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await sender.setParameters(parameters).catch(() => {});
  }

  gathered(peer) {
    if (peer.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((done) => {
      peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
      setTimeout(done, 2000);
    });
  }

  async answer(sdp) {
    if (this.peer) await this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  // Milliseconds that a picture spends outside the engine, as far as the browser can tell: in all, and
  // on its way back alone.
  async onTheWay() {
    if (!this.peer) return null;
    let there = 0;
    let back = 0;
    let seen = false;
    const mean = (id, report, sum, count) => {
      const [oldSum, oldCount] = this.before[id] || [0, 0];
      this.before[id] = [report[sum], report[count]];
      const n = report[count] - oldCount;
      return n > 0 ? (1e3 * (report[sum] - oldSum)) / n : 0;
    };
    (await this.peer.getStats()).forEach((report) => {
      if (report.type === "outbound-rtp" && report.framesEncoded) {
        there += mean("encode", report, "totalEncodeTime", "framesEncoded");
      } else if (report.type === "inbound-rtp" && report.framesDecoded) {
        seen = true;
        back += mean(`decode${report.id}`, report, "totalProcessingDelay", "framesDecoded");
      } else if (report.type === "candidate-pair" && report.nominated) {
        there += 500 * (report.currentRoundTripTime || 0);
        back += 500 * (report.currentRoundTripTime || 0);
      }
    });
    return seen ? { total: there + back, back } : null;
  }

  stop() {
    if (this.peer) this.peer.close();
    this.peer = null;
    this.before = {};
  }
}
