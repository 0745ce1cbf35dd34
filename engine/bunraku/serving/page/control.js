// The session's WebSocket: JSON both ways. It is the session: when it closes, all ends.
export class Control {
  constructor(onMessage, onClose) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.base = `${scheme}://${location.host}`;
    this.socket = new WebSocket(`${this.base}/control`);
    this.socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    this.socket.onclose = (event) => onClose(event);
    this.later = new Map();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // At most one message for each key every 70 ms, the newest: a slider sends hundreds a second.
  sendSoon(key, message) {
    const waits = this.later.has(key);
    this.later.set(key, message);
    if (waits) return;
    setTimeout(() => {
      this.send(this.later.get(key));
      this.later.delete(key);
    }, 70);
  }
}
