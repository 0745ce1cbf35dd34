// A minute of latencies: for each medium a line for p50 and a band up to p99.
const SECONDS = 60;
const COLOURS = { voice: "#33508c", picture: "#c43d28" };

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.points = { voice: [], picture: [] };
    this.top = 40;
  }

  add(medium, p50, p99) {
    const now = performance.now() / 1e3;
    const points = this.points[medium];
    points.push({ now, p50, p99 });
    while (points.length && points[0].now < now - SECONDS - 1) points.shift();
  }

  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.rescale();
    const frame = { left: 34, right: width - 4, top: 6, bottom: height - 18 };
    this.grid(pen, frame);
    for (const medium of ["picture", "voice"]) this.medium(pen, frame, medium);
  }

  // The highest p50 decides, and most of the p99: one outlier must not flatten all else.
  rescale() {
    const all = [...this.points.voice, ...this.points.picture];
    const tails = all.map(({ p99 }) => p99).sort((a, b) => a - b);
    const most = Math.max(20, ...all.map(({ p50 }) => p50), tails[Math.floor(0.9 * tails.length)] || 0);
    const tops = [25, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10_000];
    const wanted = tops.find((top) => top >= most * 1.12) || 20_000;
    this.top += (wanted - this.top) * 0.2;
  }

  grid(pen, { left, right, top, bottom }) {
    const steps = [5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000];
    const step = steps.find((size) => this.top / size <= 5) || 5000;
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = "#8b8479";
    pen.strokeStyle = "#ece8e0";
    pen.lineWidth = 1;
    pen.textAlign = "right";
    for (let ms = 0; ms <= this.top; ms += step) {
      const y = Math.round(bottom - (ms / this.top) * (bottom - top)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(right, y);
      pen.stroke();
      pen.fillText(ms === 0 ? "0 ms" : String(ms), left - 6, y + 3.5);
    }
    pen.textAlign = "center";
    for (const ago of [45, 30, 15]) {
      pen.fillText(`${ago} s ago`, right - (ago / SECONDS) * (right - left), bottom + 14);
    }
    pen.textAlign = "right";
    pen.fillText("now", right, bottom + 14);
  }

  medium(pen, { left, right, top, bottom }, medium) {
    const points = this.points[medium];
    if (points.length < 2) return;
    const now = performance.now() / 1e3;
    const x = (point) => Math.max(left, right - ((now - point.now) / SECONDS) * (right - left));
    const y = (ms) => bottom - Math.min(1, ms / this.top) * (bottom - top);
    pen.fillStyle = `${COLOURS[medium]}26`;
    pen.beginPath();
    points.forEach((point, i) => (i ? pen.lineTo(x(point), y(point.p99)) : pen.moveTo(x(point), y(point.p99))));
    for (let i = points.length - 1; i >= 0; i--) pen.lineTo(x(points[i]), y(points[i].p50));
    pen.fill();
    pen.strokeStyle = COLOURS[medium];
    pen.lineWidth = 1.8;
    pen.lineJoin = "round";
    pen.beginPath();
    points.forEach((point, i) => (i ? pen.lineTo(x(point), y(point.p50)) : pen.moveTo(x(point), y(point.p50))));
    pen.stroke();
  }
}
