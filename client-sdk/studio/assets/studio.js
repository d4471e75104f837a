// What pages cannot do by themselves: send forms, draw live curves, take a drawing.
const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const news = find("#news");
const tell = (text) => { news.textContent = text; };

/** Posts JSON or bytes to the studio, and throws what it says is wrong. */
async function post(address, body) {
  const raw = body instanceof Blob;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": raw ? "application/octet-stream" : "application/json" },
    body: raw ? body : JSON.stringify(body ?? {}),
  });
  const text = await answer.text();
  let found = {};
  try { found = text ? JSON.parse(text) : {}; } catch { found = { error: text }; }
  if (!answer.ok) throw new Error(found.error ?? `the studio answered ${answer.status}`);
  return found ?? {};
}

/** Does something that takes a while with its button. */
async function busy(button, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  tell("");
  try { await work(); } catch (error) {
    tell(error instanceof TypeError ? "The studio does not answer: is it still running?" : error.message);
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

const fields = (form) => Object.fromEntries(new FormData(form));

function arrive(element, found) {
  const into = element.dataset.into && document.getElementById(element.dataset.into);
  if (into) into.textContent = found.text;
  else if (found.next) location.href = found.next;
  else if (element.dataset.then !== undefined) location.href = element.dataset.then || location.href;
}

for (const form of all("form[data-post]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(find("button", form), async () => arrive(form, await post(form.dataset.post, fields(form))));
  });
  const slider = find("input[type=range]", form);
  slider?.addEventListener("input", () => { find("output", form).textContent = slider.value; });
  if (form.dataset.estimate) estimates(form);
}
for (const button of all("button[data-post]")) {
  button.addEventListener("click", () => busy(button, async () => arrive(button, await post(button.dataset.post))));
}

/** Says what a training will take, a moment after the last change. */
function estimates(form) {
  let waiting;
  const ask = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const place = find("#estimate");
      try { place.textContent = (await post(form.dataset.estimate, fields(form))).text; }
      catch (error) { place.textContent = error.message; }
    }, 350);
  };
  form.addEventListener("input", ask);
  ask();
}

// A page that waits for images to be read looks again.
if (find("[data-reload]")) setTimeout(() => location.reload(), 400);

// Curves.
const SHAPE = "http://www.w3.org/2000/svg";
const WIDTH = 360, HEIGHT = 160, LEFT = 44, BOTTOM = 20, TOP = 8;
const POINTS = 400;
const colour = (run) => `k${((run - 1) % 4) + 1}`;
const short = (value) => value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3);

function shape(name, attributes, text) {
  const made = document.createElementNS(SHAPE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Draws lines `{ run, points: [[x, y]] }` with one pair of axes. */
function draw(chart, lines) {
  const points = lines.flatMap((line) => line.points).filter(([, y]) => Number.isFinite(y));
  chart.replaceChildren();
  if (points.length === 0) return;
  const most = Math.max(...points.map(([x]) => x), 1e-9);
  let low = Math.min(...points.map(([, y]) => y)), high = Math.max(...points.map(([, y]) => y));
  if (low === high) { low -= 0.5; high += 0.5; }
  const across = (x) => LEFT + (WIDTH - LEFT - 6) * (x / most);
  const up = (y) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * ((y - low) / (high - low));
  chart.append(
    shape("line", { class: "axis", x1: LEFT, y1: HEIGHT - BOTTOM, x2: WIDTH, y2: HEIGHT - BOTTOM }),
    shape("text", { x: LEFT - 6, y: TOP + 8, "text-anchor": "end" }, short(high)),
    shape("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, short(low)),
    shape("text", { x: WIDTH - 4, y: HEIGHT - 5, "text-anchor": "end" }, `epoch ${short(most)}`),
  );
  for (const { run, points: line } of lines) {
    const stride = Math.max(1, Math.ceil(line.length / POINTS));
    const shown = line.filter((point, place) => Number.isFinite(point[1])
      && (place % stride === 0 || place === line.length - 1));
    const text = shown.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(" ");
    chart.append(shape("polyline", { class: colour(run), points: text }));
  }
}

const value = (point, key) => key === "bytes" ? (point.bytes_up + point.bytes_down) / 1e6 : point[key] ?? NaN;
const histories = new Map();
// Milliseconds from one drawing of live curves to the next: more would cost the training time.
const PACE = 500;
let waiting = false, drawnAt = -Infinity;

/** Draws what has changed, soon but seldom, and never while the page is hidden. */
function redraw() {
  if (waiting || document.hidden) return;
  waiting = true;
  setTimeout(() => requestAnimationFrame(() => {
    waiting = false;
    drawnAt = performance.now();
    const line = (run, key) => ({ run, points: histories.get(run).map((point) => [point.epoch, value(point, key)]) });
    for (const card of all("[data-run]")) {
      const run = Number(card.dataset.run), points = histories.get(run), last = points?.at(-1);
      if (!last) continue;
      for (const chart of all("[data-curve]", card)) draw(chart, [line(run, chart.dataset.curve)]);
      for (const output of all("[data-last]", card)) output.textContent = short(value(last, output.dataset.last));
      find("progress", card).value = last.step / last.steps;
      if (!card.dataset.ended) find(".state", card).textContent = `Step ${last.step} of ${last.steps}.`;
    }
    for (const chart of all("[data-compare]")) {
      draw(chart, [...histories.keys()].sort().map((run) => line(run, chart.dataset.compare)));
    }
  }), Math.max(0, drawnAt + PACE - performance.now()));
}
document.addEventListener("visibilitychange", redraw);

for (const card of all("[data-run]")) {
  const run = Number(card.dataset.run);
  find(".dot", card).classList.add(`b${((run - 1) % 4) + 1}`);
  const source = new EventSource(`/runs/${run}/events`);
  // Every connection begins with the first step: one that was lost is no gap.
  source.addEventListener("open", () => histories.set(run, []));
  source.addEventListener("step", (event) => {
    histories.get(run).push(JSON.parse(event.data));
    redraw();
  });
  source.addEventListener("end", (event) => {
    source.close();
    const { state, text } = JSON.parse(event.data);
    card.dataset.ended = state;
    const line = find(".state", card);
    line.textContent = state === "failed" ? `Failed: ${text}` : `Done: ${text}.`;
    line.classList.add(state === "failed" ? "bad" : "good");
    // What the training has spent is on the page too, and what can be done next.
    if (card.dataset.running !== undefined) setTimeout(() => location.reload(), 300);
    redraw();
  });
}

// Recognition.
const pad = find("#pad");
if (pad) recognition();

function recognition() {
  const pen = pad.getContext("2d", { willReadFrequently: true });
  let down = false, drawn = false, at = [140, 140], file = null;
  const model = () => find("#model").value;
  const clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, pad.width, pad.height);
    drawn = false;
    file = null;
  };
  const line = (to) => {
    pen.strokeStyle = "#fff";
    pen.lineWidth = 20;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...at);
    pen.lineTo(...to);
    pen.stroke();
    at = to;
    drawn = true;
  };
  const place = (event) => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (file) clear();
    down = true;
    at = place(event);
    pad.setPointerCapture(event.pointerId);
    line(at);
  });
  pad.addEventListener("pointermove", (event) => down && line(place(event)));
  pad.addEventListener("pointerup", () => { if (down) { down = false; ask(); } });
  const STEPS = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
  pad.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (event.key === " ") { down = !down; if (down) line(at); else ask(); }
    else if (event.key === "Enter") ask();
    else if (step) {
      const to = at.map((value, axis) => Math.min(270, Math.max(10, value + step[axis])));
      if (down) line(to); else at = to;
    } else return;
    event.preventDefault();
  });

  const show = async (picture) => {
    file = picture;
    const image = await createImageBitmap(picture);
    const scale = Math.min(pad.width / image.width, pad.height / image.height);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, pad.width, pad.height);
    pen.drawImage(image, 0, 0, image.width * scale, image.height * scale);
    ask();
  };
  const take = (picture) => show(picture).catch(() => tell("This browser cannot read that picture."));
  find("#file").addEventListener("change", (event) => event.target.files[0] && take(event.target.files[0]));
  pad.addEventListener("dragover", (event) => { event.preventDefault(); pad.classList.add("over"); });
  pad.addEventListener("dragleave", () => pad.classList.remove("over"));
  pad.addEventListener("drop", (event) => {
    event.preventDefault();
    pad.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });

  const answer = (into, found, milliseconds) => {
    const card = document.createElement("div");
    card.className = "answer";
    const add = (name, text, style) => {
      const made = document.createElement(name);
      made.textContent = text;
      if (style) made.className = style;
      card.append(made);
      return made;
    };
    add("h3", found.kind === "interactive" ? "Interactive, with tickets" : "One shot");
    add("div", found.class, "class");
    const best = Math.max(...found.classes.map(([, share]) => share));
    add("p", found.unsure ? `unsure: ${(100 * best).toFixed(1)} %` : `${(100 * best).toFixed(1)} %`, "quiet");
    const table = add("table", "", "bars"), body = table.createTBody();
    for (const [name, share] of found.classes) {
      const row = body.insertRow(), head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      const meter = document.createElement("meter");
      meter.value = share;
      meter.setAttribute("aria-label", `probability of ${name}`);
      row.append(head);
      row.insertCell().append(meter);
      row.insertCell().textContent = `${(100 * share).toFixed(1)} %`;
    }
    add("p", `${found.milliseconds.toFixed(1)} ms with the service, ${milliseconds.toFixed(0)} ms in the browser; `
      + `${found.up} sent, ${found.down} received.`, "quiet");
    into.replaceChildren(card);
    card.dataset.milliseconds = milliseconds.toFixed(1);
  };
  const picture = () => file ?? new Promise((done) => pad.toBlob(done, "image/png"));
  async function one(kind, into) {
    const body = await picture(), begun = performance.now();
    try { answer(into, await post(`/recognise/${model()}${kind}`, body), performance.now() - begun); }
    catch (error) {
      const line = document.createElement("p");
      line.className = "bad";
      line.textContent = error.message;
      into.replaceChildren(line);
    }
  }
  async function ask() {
    if (!drawn && !file) { tell("Draw something first."); return; }
    await one("", find("#interactive"));
    const other = find("#one-shot");
    if (!find("#also-one-shot").checked) { other.replaceChildren(); return; }
    other.textContent = "One shot is being computed; the first time, evaluation keys are made.";
    await one("/one-shot", other);
  }
  find("#ask").addEventListener("click", () => busy(find("#ask"), ask));
  find("#clear").addEventListener("click", clear);
  const ready = () => post(`/recognise/${model()}/prepare`).catch((error) => tell(error.message));
  find("#model").addEventListener("change", ready);
  clear();
  ready();
}
