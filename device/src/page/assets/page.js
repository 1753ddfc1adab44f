"use strict";
const $ = (id) => document.getElementById(id);
const set = (id, text) => { $(id).textContent = text; };
const element = (tag, text, kind) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

// ---- what the board is asked and told

async function api(path, options = {}) {
  const answer = await fetch(path, options);
  if (answer.status === 401) location.reload();
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `the board answers ${answer.status}`);
  }
  return answer;
}

function say(error) { set("said", error ? error.message : ""); }

// ---- preview: a stream of parts, each a JPEG picture; before and after belong together

const wipe = { at: 0.5 };
const pictures = { before: null, after: null };
let watching = null;

function draw() {
  const canvas = $("picture");
  const { before, after } = pictures;
  if (!after) return;
  if (canvas.width !== after.width || canvas.height !== after.height) {
    canvas.width = after.width;
    canvas.height = after.height;
  }
  const pen = canvas.getContext("2d");
  pen.drawImage(after, 0, 0);
  const edge = Math.round(wipe.at * canvas.width);
  if (before && edge > 0) {
    pen.drawImage(before, 0, 0, edge, before.height, 0, 0, edge, canvas.height);
  }
}

function moveWipe(to) {
  wipe.at = Math.min(1, Math.max(0, to));
  const percent = Math.round(wipe.at * 100);
  $("wipe").style.left = `${percent}%`;
  $("wipe").setAttribute("aria-valuenow", percent);
  draw();
}

const stage = $("stage");
const follow = (event) => {
  const box = stage.getBoundingClientRect();
  moveWipe((event.clientX - box.left) / box.width);
};
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  follow(event);
});
stage.addEventListener("pointermove", (event) => {
  if (stage.hasPointerCapture(event.pointerId)) follow(event);
});
$("wipe").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  moveWipe(wipe.at + step);
});

function joined(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

// Index behind the empty line that ends a part's head, or -1.
function headEnd(bytes) {
  for (let i = 3; i < Math.min(bytes.length, 1024); i++) {
    if (bytes[i] === 10 && bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) return i + 1;
  }
  return -1;
}

async function* parts(stream) {
  let held = new Uint8Array(0);
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held = joined(held, value);
    for (;;) {
      const begin = headEnd(held);
      if (begin < 0) break;
      const head = new TextDecoder().decode(held.subarray(0, begin));
      const field = (name) => (head.match(new RegExp(`${name}: *(.*)`, "i")) || [])[1];
      const end = begin + Number(field("content-length"));
      if (held.length < end + 2) break;
      yield { view: field("x-hone-view"), picture: held.slice(begin, end) };
      held = held.slice(end + 2);
    }
  }
}

async function watch() {
  if (watching || document.hidden) return;
  watching = new AbortController();
  const { signal } = watching;
  try {
    const answer = await api("/api/v1/preview?view=pair", { signal });
    let before = null;
    for await (const part of parts(answer.body)) {
      const image = await createImageBitmap(new Blob([part.picture], { type: "image/jpeg" }));
      if (part.view === "before") {
        before = image;
        continue;
      }
      for (const old of [pictures.before, pictures.after]) if (old) old.close();
      Object.assign(pictures, { before, after: image });
      shown = performance.now();
      draw();
    }
  } catch (error) {
    if (!signal.aborted) set("veil", error.message);
  }
  watching = null;
  setTimeout(watch, 1000);
}

let shown = -1e9;
setInterval(() => {
  const fresh = performance.now() - shown < 4000;
  if (!fresh && $("veil").hidden) set("veil", "waiting for the next picture");
  $("veil").hidden = fresh;
}, 500);

// ---- dials

const turning = {};
let sending = false;
let touched = -1e9;

async function turn(dial, value) {
  touched = performance.now();
  turning[dial] = value;
  // One request at a time: the board takes the newest value last.
  if (sending) return;
  sending = true;
  try {
    while (Object.keys(turning).length > 0) {
      const body = JSON.stringify(turning);
      for (const key of Object.keys(turning)) delete turning[key];
      await api("/api/v1/dials", { method: "PATCH", headers: { "Content-Type": "application/json" }, body });
    }
    say();
  } catch (error) {
    // What was not sent by now must not surprise anybody later.
    for (const key of Object.keys(turning)) delete turning[key];
    say(error);
  }
  sending = false;
}

const percent = (part) => `${Math.round(part * 100)} %`;
for (const dial of ["strength", "split"]) {
  $(dial).addEventListener("input", () => {
    set(`${dial}-value`, percent($(dial).value));
    turn(dial, Number($(dial).value));
  });
}
$("bypass").addEventListener("change", () => turn("bypass", $("bypass").checked));

function showDials(dials) {
  if (performance.now() - touched < 1500) return;
  for (const dial of ["strength", "split"]) {
    $(dial).value = dials[dial];
    set(`${dial}-value`, percent(dials[dial]));
  }
  $("bypass").checked = dials.bypass;
}

$("snapshot").addEventListener("click", async () => {
  $("snapshot").disabled = true;
  try {
    const taken = await (await api("/api/v1/snapshots", { method: "POST" })).json();
    set("taken-number", taken.number);
    $("taken-before").href = taken.before;
    $("taken-after").href = taken.after;
    $("taken").hidden = false;
    say();
  } catch (error) {
    say(error);
  }
  $("snapshot").disabled = false;
});

// ---- charts of the last minute

const POINTS = 120;
const style = getComputedStyle(document.documentElement);
const charts = {};

function chart(id, value, text) {
  const points = (charts[id] ||= []);
  points.push(value);
  if (points.length > POINTS) points.shift();
  set(`${id}-value`, text);
  const canvas = $(id);
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, width, height);
  const known = points.filter((point) => point !== null);
  if (known.length === 0) return;
  const top = Math.max(...known, id === "drops" ? 1 : 1e-9) * 1.15;
  const x = (i) => width - (points.length - 1 - i) * (width / (POINTS - 1));
  const y = (point) => height - ratio - (point / top) * (height - 2 * ratio);
  pen.strokeStyle = style.getPropertyValue("--mark");
  pen.lineWidth = 1.6 * ratio;
  pen.lineJoin = "round";
  pen.beginPath();
  points.forEach((point, i) => { if (point !== null) pen.lineTo(x(i), y(point)); });
  pen.stroke();
  pen.lineTo(width, height);
  pen.lineTo(x(points.findIndex((point) => point !== null)), height);
  pen.globalAlpha = 0.12;
  pen.fillStyle = pen.strokeStyle;
  pen.fill();
  pen.globalAlpha = 1;
}

// ---- state

const seconds = (s) => {
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
};
let earlier = null;

function showState(state) {
  document.title = `${state.board} - honed`;
  set("board", state.board);
  set("uptime", `honed ${state.version}, up ${seconds(state.uptime_s)}`);
  const { source, student, governor, frames } = state;
  const dark = source.state !== "live";
  const status = dark ? source.state : state.not_ready ? "not sharpening" : governor.degraded ? "degraded" : "sharpening";
  set("status", status);
  $("status").className = `pill ${dark ? "bad" : state.not_ready || governor.degraded ? "warm" : "good"}`;
  $("status").title = source.reason || state.not_ready;

  chart("fps", state.fps, state.fps.toFixed(1));
  chart("age", state.age_ms.p99, `${state.age_ms.p99.toFixed(1)} ms`);
  chart("heat", state.celsius, state.celsius === null ? "no sensor" : `${state.celsius.toFixed(0)} \u00b0C`);
  const time = earlier ? state.uptime_s - earlier.uptime_s : 0;
  const drops = time > 0 ? (frames.dropped - earlier.frames.dropped) / time : 0;
  chart("drops", Math.max(0, drops), Math.max(0, drops).toFixed(1));
  earlier = state;

  showDials(state.dials);
  $("ladder").replaceChildren(...student.levels.map((name, level) =>
    element("li", name, level === student.level && !student.shed ? "on" : "")));
  set("engine", student.engine);
  set("engine-time", `${state.engine_ms.p50.toFixed(1)} ms, p99 ${state.engine_ms.p99.toFixed(1)} ms`);
  const load = student.shed ? "no sharpening" : student.every_second ? "every second frame" : "";
  const holds = governor.fps === null ? "off" : `holds ${governor.fps} fps`;
  set("governor", [holds, load, governor.step].filter(Boolean).join("; "));

  set("source", source.name);
  set("caps", source.caps);
  set("camera", source.reason ? `${source.state}: ${source.reason}` : state.not_ready ? `${source.state}, ${state.not_ready}` : source.state);
  const broken = source.decode_errors ? `, ${source.decode_errors} decoder errors` : "";
  set("reconnects", (source.reconnects === 1 ? "once" : `${source.reconnects} times`) + broken);
  set("frames", `${frames.delivered} delivered, ${frames.dropped} dropped, ${frames.slates} stood in for`);
  $("sinks").replaceChildren(...state.sinks.map((sink) =>
    row(sink.up ? "good" : "bad", sink.name, sink.restarts ? `started anew ${sink.restarts} times` : "",
      `${sink.frames} frames, ${sink.dropped} dropped`)));
}

function row(verdict, text, below, right) {
  const [item, words] = [element("li"), element("div", text)];
  if (below) words.append(element("small", below));
  item.append(element("i", undefined, `dot ${verdict}`), words);
  if (right) item.append(element("span", right));
  return item;
}

function showLine(line) {
  const log = $("log");
  const item = element("li", line.text, line.text.startsWith("warning:") ? "warning" : "");
  const time = element("time", new Date(line.unix_ms).toLocaleTimeString());
  item.prepend(time);
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  log.append(item);
  while (log.children.length > 200) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

async function showBundles() {
  try {
    const { running, slots, last } = await (await api("/api/v1/bundles")).json();
    const rows = slots.map((slot) => row(
      slot.failed ? "bad" : slot.on_trial ? "warm" : slot.active ? "good" : "",
      `${slot.bundle} ${slot.release}`,
      slot.signed_by ? `signed by ${slot.signed_by}` : "not signed",
      [slot.active ? "active" : "previous", slot.on_trial && "on trial", slot.failed && "failed"].filter(Boolean).join(", ")));
    if (slots.length === 0) rows.push(row("", "No bundle is installed in the slots", running));
    if (last) rows.push(row("", last));
    $("bundles").replaceChildren(...rows);
  } catch (error) {
    $("bundles").replaceChildren(row("bad", error.message));
  }
}

$("examine").addEventListener("click", async () => {
  $("examine").disabled = true;
  $("doctor").replaceChildren(row("", "looking; this takes a few seconds"));
  try {
    const checks = await (await api("/api/v1/doctor")).json();
    const verdicts = { good: "good", lacking: "warm", bad: "bad" };
    $("doctor").replaceChildren(...checks.map((check) =>
      row(verdicts[check.verdict], `${check.what}: ${check.found}`, check.advice)));
  } catch (error) {
    $("doctor").replaceChildren(row("bad", error.message));
  }
  $("examine").disabled = false;
});

let events = null;

function listen() {
  if (events || document.hidden) return;
  events = new EventSource("/api/v1/events");
  events.addEventListener("open", () => {
    $("log").replaceChildren();
    // A chart knows no gaps: what came before one is older than its minute.
    for (const points of Object.values(charts)) points.length = 0;
  });
  events.addEventListener("state", (event) => showState(JSON.parse(event.data)));
  events.addEventListener("log", (event) => showLine(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    set("status", "no answer");
    $("status").className = "pill bad";
    // Closed for good: the login ended, or the board is busy with others.
    if (events.readyState === EventSource.CLOSED) {
      events = null;
      setTimeout(() => api("/api/v1/state").then(listen, listen), 3000);
    }
  });
}

// Nobody looks at a hidden page: the board encodes nothing for it, and it takes none of the few connections that a browser
// makes to one address.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    watching?.abort();
    events?.close();
    events = null;
  } else {
    watch();
    listen();
  }
});

moveWipe(0.5);
listen();
watch();
showBundles();
setInterval(showBundles, 30000);
