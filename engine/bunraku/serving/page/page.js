// Puts the page together: the session's state in, what the visitor does out.
import { Voice } from "/page/audio.js";
import { Chain } from "/page/chain.js";
import { Chart } from "/page/chart.js";
import { Control } from "/page/control.js";
import { Meter } from "/page/meter.js";
import { Picture } from "/page/picture.js";

const LATE_REPORTS = 10;
const RECONNECT_MS = 1500;
const $ = (id) => document.getElementById(id);
const chart = new Chart($("chart"));
const meters = { in: new Meter($("meter-in"), $("meter-in-db")), out: new Meter($("meter-out"), $("meter-out-db")) };
const control = new Control(take, closed);
const picture = new Picture(control, pictureLost);
const voice = new Voice(heard, (text) => text && note(text, true));

let welcome = null;
let chain = null;
let state = null;
let stream = null;
let lit = false;
let gaps = 0;
let late = 0; // reports in a row in which the voice came too late
let over = false;
let way = null; // of a picture, outside the engine
let pictureMs = null; // from its capture to the engine's end

window.bunraku = { voice, picture, get stream() { return stream; } }; // for tests and the curious

// ---- what comes ---------------------------------------------------------------------------------

function take(message) {
  const takers = { welcome: begin, state: show, figures, answer: ({ sdp }) => picture.answer(sdp) };
  if (message.type === "said" || message.type === "error") note(message.text, message.type === "error");
  else takers[message.type]?.(message);
}

function begin(message) {
  welcome = message;
  tellClock();
  chain = new Chain($("chain"), $("empty-chain"), $("add"), message.effects, control);
  chips($("presets"), message.presets, (name) => control.send({ type: "choose_preset", name, tag: chain.expect() }));
  chips($("voices"), message.voices, (model) => control.send({ type: "set_voice", model, effects: state.voice.effects }));
  $("voice-effects").replaceChildren(...message.voice_effects.map(voiceEffect));
  $("power").disabled = false;
  $("devices").hidden = !message.browser_devices;
  if (!message.records) $("record").title = "Start the server with --recordings FOLDER to record";
  for (const tile of document.querySelectorAll(".of-browser")) tile.hidden = !message.browser_devices;
  if (!message.browser_devices) {
    $("before-hint").textContent = "The server’s camera.";
    $("power").hidden = true;
    if (message.picture) watch();
  }
  status("waiting", "ready");
}

function show(message) {
  state = message;
  press($("presets"), message.preset);
  press($("voices"), message.voice.model);
  for (const box of $("voice-effects").querySelectorAll("input")) box.checked = message.voice.effects.includes(box.value);
  chain.show(message.effects, message.tag);
  $("record").disabled = !welcome.records || !message.camera;
  $("record").setAttribute("aria-pressed", String(message.recording));
  $("record-text").textContent = message.recording ? "Stop" : "Record";
  $("mute").setAttribute("aria-pressed", String(message.muted));
  $("recordings").replaceChildren(...message.recordings.map(recording).reverse());
  $("recordings-card").hidden = message.recordings.length === 0;
}

function figures({ voice: sound, picture: seen, recording_s }) {
  if (over) return;
  meters.in.set(sound.in_level);
  meters.out.set(sound.out_level);
  put("misses", sound.misses, sound.misses > 0);
  if (!welcome.browser_devices && sound.run.count) latency("voice", { p50: sound.block_ms + sound.run.p50, p99: sound.block_ms + sound.run.p99 });
  if (recording_s !== null) $("record-text").textContent = `Stop ${clock(recording_s)}`;
  if (!seen) return;
  put("late", seen.late);
  put("dropped", seen.dropped);
  put("quality", `${seen.rungs - seen.rung} of ${seen.rungs}`, seen.rung > 0);
  chain.tiers(seen.effects);
  if (seen.recent.count) {
    latency("picture", seen.recent);
    pictureMs = seen.recent.p50;
  }
}

function heard(round) {
  late = round.gaps > gaps || round.thrownMs > 0 ? late + 1 : 0;
  gaps = round.gaps;
  put("gaps", gaps);
  if (lit) status(late > LATE_REPORTS ? "trouble" : "live", late > LATE_REPORTS ? "overloaded: the voice has gaps" : "live");
  if (!round.count) return;
  latency("voice", round);
  voice.keepStep(way && pictureMs !== null ? pictureMs + way.back : null, round.p50);
  put("waits", `${voice.waitsMs.toFixed(0)} ms`);
}

function latency(medium, { p50, p99 }) {
  chart.add(medium, p50, p99);
  const digits = p99 < 10 ? 1 : 0;
  $(`${medium}-latency`).textContent = `${p50.toFixed(digits)} ms, p99 ${p99.toFixed(digits)}`;
}

function recording({ name, address }) {
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("a"), { href: address, download: name, textContent: name }));
  return item;
}

function closed({ code, reason }) {
  over = true;
  switchOff();
  for (const button of document.querySelectorAll("button:not(#again), select")) button.disabled = true;
  for (const meter of Object.values(meters)) meter.set([0, 0]);
  $("notes").replaceChildren();
  status("trouble", code === 1013 ? "the server is full" : "disconnected");
  $("over-text").textContent = code === 1013 ? "The server has as many sessions as it may." : reason || "The session has ended.";
  $("over").hidden = false;
}

// The picture's way broke: it is sought again as long as the page is on.
async function pictureLost() {
  if (!lit && welcome.browser_devices) return;
  $("after").classList.add("lost");
  status("trouble", "the picture was lost: connecting again");
  await new Promise((done) => setTimeout(done, RECONNECT_MS));
  if (over || !(lit || !welcome.browser_devices)) return;
  picture.stop();
  await picture.start(stream, $("before"), $("after"));
}

// ---- what the visitor does ----------------------------------------------------------------------

$("again").onclick = () => location.reload();
$("after").onplaying = () => $("after").classList.remove("lost");
$("power").onclick = () => (lit ? switchOff() : switchOn());
$("record").onclick = () => control.send({ type: "record", on: !state.recording });
$("listen").onclick = () => {
  voice.listen(!voice.listening);
  $("listen").setAttribute("aria-pressed", String(voice.listening));
};
$("step").onclick = () => {
  voice.inStep = !voice.inStep;
  $("step").setAttribute("aria-pressed", String(voice.inStep));
};
$("mute").onclick = () => control.send({ type: "mute", on: !state.muted });
for (const id of ["camera", "microphone"]) {
  $(id).onchange = async () => {
    if (!lit) return;
    await switchOff();
    await switchOn();
  };
}

async function switchOn() {
  $("power").disabled = true;
  try {
    stream = await lend();
    await listDevices();
    if (stream.getVideoTracks().length) {
      $("before").srcObject = new MediaStream(stream.getVideoTracks());
      $("before-hint").hidden = $("after-hint").hidden = true;
      await picture.start(stream, $("before"), $("after"));
    }
    if (stream.getAudioTracks().length) {
      await voice.start(stream, `${control.base}/audio?key=${welcome.key}`);
      $("listen").hidden = $("step").hidden = false;
    }
    lit = true;
    $("power").textContent = "Switch off";
    status("live", "live");
  } catch (error) {
    note(explain(error), true);
    await switchOff();
  } finally {
    $("power").disabled = false;
  }
}

async function switchOff() {
  lit = false;
  picture.stop();
  control.send({ type: "hang_up" });
  await voice.stop();
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("before").srcObject = $("after").srcObject = null;
  $("before-hint").hidden = $("after-hint").hidden = false;
  $("listen").hidden = $("step").hidden = true;
  pictureMs = null;
  $("power").textContent = "Switch on";
  if ($("status").dataset.state === "live") status("waiting", "ready");
}

// Camera and microphone; one of them where the other is missing or refused.
async function lend() {
  if (!navigator.mediaDevices) throw new Error("insecure");
  const chosen = (id) => ($(id).value ? { deviceId: { exact: $(id).value } } : {});
  const video = { ...chosen("camera"), width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  const audio = { ...chosen("microphone"), channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch (error) {
    if (error.name !== "NotFoundError") throw error;
    return navigator.mediaDevices.getUserMedia({ video }).catch(() => navigator.mediaDevices.getUserMedia({ audio }));
  }
}

async function listDevices() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [["camera", "videoinput"], ["microphone", "audioinput"]]) {
    const before = $(id).value;
    const named = devices.filter((device) => device.kind === kind && device.deviceId);
    $(id).replaceChildren(new Option("default", ""), ...named.map(({ label, deviceId }) => new Option(label, deviceId)));
    $(id).value = before;
  }
}

async function watch() {
  $("before-hint").hidden = $("after-hint").hidden = true;
  await picture.start(null, $("before"), $("after"));
  status("live", "live, on the server’s devices");
}

function explain(error) {
  if (error.message === "insecure") return "Browsers lend camera and microphone to HTTPS pages and to localhost only.";
  if (error.name === "NotAllowedError") return "Camera and microphone were refused: allow them beside the address and try again.";
  if (error.name === "NotFoundError") return "Neither camera nor microphone was found.";
  if (error.name === "NotReadableError") return "The camera or microphone is used by another program: close that and try again.";
  return `That did not work: ${error.message || error.name}`;
}

// ---- small things -------------------------------------------------------------------------------

function chips(root, names, choose) {
  root.replaceChildren(...names.map((name) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.dataset.name = name;
    button.onclick = () => {
      button.dataset.busy = "";
      choose(name);
    };
    return button;
  }));
}

function press(root, name) {
  for (const button of root.children) {
    delete button.dataset.busy;
    button.setAttribute("aria-pressed", String(button.dataset.name === name));
  }
}

function voiceEffect({ name, title, summary }) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
  box.onchange = () => {
    const boxes = [...$("voice-effects").querySelectorAll("input")];
    control.send({ type: "set_voice", model: state.voice.model, effects: boxes.filter((one) => one.checked).map((one) => one.value) });
  };
  const label = document.createElement("label");
  label.title = summary;
  label.append(box, title);
  return label;
}

function put(id, value, warns = false) {
  $(id).textContent = typeof value === "number" ? value.toLocaleString("en") : value;
  $(id).className = warns ? "warn" : "";
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function status(kind, text) {
  $("status").dataset.state = kind;
  $("status").textContent = text;
}

function note(text, isError = false) {
  const made = Object.assign(document.createElement("div"), { className: `note ${isError ? "error" : ""}`, textContent: text });
  $("notes").append(made);
  while ($("notes").children.length > 3) $("notes").firstChild.remove();
  setTimeout(() => made.remove(), isError ? 9000 : 6000);
}

function draw() {
  meters.in.draw();
  meters.out.draw();
  requestAnimationFrame(draw);
}

setInterval(() => chart.draw(), 200);
// The server counts capture times by this clock.
function tellClock() {
  control.send({ type: "ping", browser_ms: performance.timeOrigin + performance.now() });
}

setInterval(async () => {
  tellClock();
  way = await picture.onTheWay();
  if (way !== null) put("way", `${way.total.toFixed(0)} ms`);
}, 1000);
draw();
