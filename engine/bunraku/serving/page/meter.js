// A level meter: the root mean square as a bar, the peak as a mark that falls slowly. -60 to 0 dB.
const FLOOR_DB = -60;
const FALL_DB = 1.2;

export class Meter {
  constructor(canvas, output) {
    this.canvas = canvas;
    this.output = output;
    this.bar = this.mark = this.shown = FLOOR_DB;
  }

  set([peak, rms]) {
    const decibel = (level) => Math.max(FLOOR_DB, 20 * Math.log10(Math.max(level, 1e-6)));
    this.bar = decibel(rms);
    this.mark = Math.max(this.mark - FALL_DB, decibel(peak));
    this.output.textContent = this.mark <= FLOOR_DB ? "−∞" : `${Math.round(this.mark)} dB`.replace("-", "−");
  }

  draw() {
    this.shown += (this.bar - this.shown) * 0.35;
    const { canvas } = this;
    const width = canvas.clientWidth * (window.devicePixelRatio || 1);
    if (canvas.width !== Math.round(width)) canvas.width = Math.round(width);
    const pen = canvas.getContext("2d");
    const at = (decibel) => (1 - decibel / FLOOR_DB) * canvas.width;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const colours = pen.createLinearGradient(0, 0, canvas.width, 0);
    colours.addColorStop(0, "#7fa98a");
    colours.addColorStop(0.75, "#5f9a6e");
    colours.addColorStop(0.9, "#d9a441");
    colours.addColorStop(1, "#c43d28");
    pen.fillStyle = colours;
    pen.fillRect(0, 0, at(this.shown), canvas.height);
    pen.fillStyle = this.mark > -0.5 ? "#c43d28" : "#211f1c";
    if (this.mark > FLOOR_DB) pen.fillRect(Math.min(at(this.mark), canvas.width - 2), 0, 2, canvas.height);
  }
}
