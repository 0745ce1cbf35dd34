// Carries blocks between the AudioWorklet and the server, away from the page's busy thread.
// The message's form: engine/bunraku/serving/audio_message.py.
const HEADER = 24;
const MOST_BUFFERED = 48_000; // bytes not yet sent; beyond this sound would only grow old
const MOST_AGE_MS = 250; // of sound that waited for this worker's turn

let port = null;
let socket = null;
let rate = 48_000;

onmessage = ({ data }) => {
  if (data.stop) {
    if (socket) socket.close();
    if (port) port.close();
    close();
    return;
  }
  ({ port, rate } = data);
  port.onmessage = ({ data: block }) => send(block);
  socket = new WebSocket(data.address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data: answer }) => receive(answer);
  socket.onclose = (event) => postMessage({ closed: event.reason || "the sound's connection ended" });
};

function send({ sequence, samples, capturedMs }) {
  if (!socket || socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > MOST_BUFFERED) return;
  if (Date.now() - capturedMs > MOST_AGE_MS) return;
  const bytes = new ArrayBuffer(HEADER + samples.length * 4);
  const view = new DataView(bytes);
  view.setUint32(0, 0x424e4b41); // "BNKA"
  view.setUint8(4, 0);
  view.setUint16(6, samples.length, true);
  view.setUint32(8, sequence, true);
  view.setUint32(12, rate, true);
  view.setFloat64(16, capturedMs, true);
  new Float32Array(bytes, HEADER).set(samples);
  socket.send(bytes);
}

function receive(answer) {
  if (typeof answer === "string") {
    postMessage({ error: JSON.parse(answer).text });
    return;
  }
  const sequence = new DataView(answer).getUint32(8, true);
  port.postMessage({ sequence, samples: new Float32Array(answer, HEADER) }, [answer]);
}
