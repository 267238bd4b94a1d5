// The page keeps what it shows in the address after #, so that a view can be kept, shared and
// gone back to. It asks the server for what is in view and never for all sources.

const $ = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const state = { cube: 0, where: "", row: null, box: null, sort: "", order: "up", first: 0, extra: "" };
let cubes = [];
let sky = null;
let pixels = null;
let listed = [];
let selected = 0;

// ---- the server -----------------------------------------------------------

async function ask(route, values = {}) {
  const query = new URLSearchParams({ cube: state.cube, ...values });
  const answer = await fetch(`${route}?${query}`);
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}
const askJson = async (route, values) => (await ask(route, values)).json();

// Of several answers that are under way only the one asked for last is shown.
const turns = {};
async function latest(name, work) {
  const turn = (turns[name] = (turns[name] ?? 0) + 1);
  const value = await work();
  return turn === turns[name] ? value : null;
}

// ---- the address ----------------------------------------------------------

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const whole = (name) => (/^\d+$/.test(found.get(name) ?? "") ? Number(found.get(name)) : null);
  state.cube = Math.min(whole("cube") ?? 0, cubes.length - 1);
  state.where = found.get("where") ?? "";
  state.row = whole("row");
  state.sort = found.get("sort") ?? "";
  state.order = found.get("order") === "down" ? "down" : "up";
  state.first = whole("first") ?? 0;
  state.extra = found.get("extra") ?? "";
  const box = (found.get("box") ?? "").split(",").map(Number);
  const sound = box.length === 4 && box.every(Number.isFinite) && box[0] < box[1] && box[2] < box[3];
  state.box = sound ? box : fitted(cubes[state.cube].bounds);
}

function writeAddress() {
  const kept = new URLSearchParams();
  for (const name of ["cube", "where", "row", "sort", "first", "extra"]) {
    if (state[name] !== null && state[name] !== "" && state[name] !== 0) kept.set(name, state[name]);
  }
  if (state.order === "down") kept.set("order", "down");
  kept.set("box", state.box.map((value) => value.toFixed(6)).join(","));
  history.replaceState(null, "", `#${kept}`);
}

// ---- the map --------------------------------------------------------------

const canvas = $("sky");
const margin = { left: 58, right: 12, top: 10, bottom: 44 };
const inner = () => ({
  width: canvas.clientWidth - margin.left - margin.right,
  height: canvas.clientHeight - margin.top - margin.bottom,
});

// A rectangle of the shape of the map that holds the given one: a degree is as long both ways.
function fitted([lowX, highX, lowY, highY]) {
  const { width, height } = inner();
  const scale = Math.max((highX - lowX) / width, (highY - lowY) / height);
  const [x, y] = [(lowX + highX) / 2, (lowY + highY) / 2];
  return [x - (scale * width) / 2, x + (scale * width) / 2, y - (scale * height) / 2, y + (scale * height) / 2];
}

// East is to the left.
function toScreen(x, y) {
  const [lowX, highX, lowY, highY] = state.box;
  const { width, height } = inner();
  return [
    margin.left + ((highX - x) / (highX - lowX)) * width,
    margin.top + ((highY - y) / (highY - lowY)) * height,
  ];
}

function fromScreen(left, top) {
  const [lowX, highX, lowY, highY] = state.box;
  const { width, height } = inner();
  return [
    highX - ((left - margin.left) / width) * (highX - lowX),
    highY - ((top - margin.top) / height) * (highY - lowY),
  ];
}

function zoom(factor, x, y) {
  const [lowX, highX, lowY, highY] = state.box;
  const [cx, cy] = x === undefined ? [(lowX + highX) / 2, (lowY + highY) / 2] : [x, y];
  const width = (highX - lowX) * factor;
  if (width < 2e-4 || width > 120) return;
  state.box = [cx + (lowX - cx) * factor, cx + (highX - cx) * factor, cy + (lowY - cy) * factor, cy + (highY - cy) * factor];
  moved();
}

function shift(x, y) {
  const [lowX, highX, lowY, highY] = state.box;
  state.box = [lowX + x, highX + x, lowY + y, highY + y];
  moved();
}

let waiting = null;
function moved() {
  drawSky();
  writeAddress();
  clearTimeout(waiting);
  waiting = setTimeout(loadSky, 120);
}

async function loadSky() {
  const [x0, x1, y0, y1] = state.box;
  try {
    const found = await latest("sky", () => askJson("/api/sky", { x0, x1, y0, y1, where: state.where }));
    if (found === null) return;
    sky = { ...found, box: [...state.box] };
    selected = found.selected;
    showError(null);
    const all = found.total.toLocaleString("en");
    const chosen = found.selected.toLocaleString("en");
    const inside = found.inside.toLocaleString("en");
    $("counts").textContent = `${chosen} of ${all} sources chosen, ${inside} in view`;
  } catch (error) {
    showError(error.message);
  }
  drawSky();
}

function ticks(low, high, most) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((value) => value * power).find((value) => value >= raw);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
  return [found, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
}

function drawSky() {
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const { width, height } = inner();
  pen.fillStyle = colour("--panel");
  pen.fillRect(margin.left, margin.top, width, height);
  pen.save();
  pen.beginPath();
  pen.rect(margin.left, margin.top, width, height);
  pen.clip();
  if (sky?.counts) drawCounts(pen);
  if (sky?.points) drawPoints(pen);
  drawChosen(pen);
  pen.restore();
  drawAxes(pen, width, height);
}

function drawCounts(pen) {
  const { counts, box } = sky;
  const most = Math.max(1, ...counts.map((row) => Math.max(...row)));
  const [rows, columns] = [counts.length, counts[0].length];
  pen.fillStyle = colour("--data");
  counts.forEach((row, j) =>
    row.forEach((count, i) => {
      if (!count) return;
      const [right, bottom] = toScreen(box[0] + ((box[1] - box[0]) * i) / columns, box[2] + ((box[3] - box[2]) * j) / rows);
      const [left, top] = toScreen(box[0] + ((box[1] - box[0]) * (i + 1)) / columns, box[2] + ((box[3] - box[2]) * (j + 1)) / rows);
      pen.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / most);
      pen.fillRect(left, top, right - left + 0.5, bottom - top + 0.5);
    }),
  );
  pen.globalAlpha = 1;
  label(pen, `strongest colour: ${most} sources; zoom in for single ones`, margin.left + 6, margin.top + 18);
}

// Text on a ground of its own, so that sources beneath do not disturb it.
function label(pen, text, left, base) {
  pen.font = "12px sans-serif";
  pen.textAlign = "left";
  pen.fillStyle = colour("--ground");
  pen.globalAlpha = 0.85;
  pen.fillRect(left - 3, base - 12, pen.measureText(text).width + 6, 16);
  pen.globalAlpha = 1;
  pen.fillStyle = colour("--ink");
  pen.fillText(text, left, base);
}

function drawPoints(pen) {
  const radius = sky.points.length > 600 ? 1.8 : 2.8;
  pen.fillStyle = colour("--data");
  for (const [, x, y] of sky.points) {
    const [left, top] = toScreen(x, y);
    pen.beginPath();
    pen.arc(left, top, radius, 0, 2 * Math.PI);
    pen.fill();
  }
}

let chosen = null;
function drawChosen(pen) {
  if (!chosen || chosen.x === null) return;
  const [left, top] = toScreen(chosen.x, chosen.y);
  pen.strokeStyle = colour("--chosen");
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.arc(left, top, 9, 0, 2 * Math.PI);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    pen.moveTo(left + 9 * dx, top + 9 * dy);
    pen.lineTo(left + 16 * dx, top + 16 * dy);
  }
  pen.stroke();
}

function drawAxes(pen, width, height) {
  const [lowX, highX, lowY, highY] = state.box.map((value) => value * 60);
  pen.strokeStyle = colour("--muted");
  pen.lineWidth = 1;
  pen.strokeRect(margin.left + 0.5, margin.top + 0.5, width - 1, height - 1);
  pen.fillStyle = colour("--ink");
  pen.font = "12px sans-serif";
  const minus = (text) => text.replace("-", "−");
  const [acrossTicks, acrossDigits] = ticks(lowX, highX, 7);
  pen.textAlign = "center";
  for (const value of acrossTicks) {
    const [left] = toScreen(value / 60, 0);
    pen.fillRect(left, margin.top + height, 1, 5);
    pen.fillText(minus(value.toFixed(acrossDigits)), left, margin.top + height + 18);
  }
  const [upTicks, upDigits] = ticks(lowY, highY, 7);
  pen.textAlign = "right";
  for (const value of upTicks) {
    const [, top] = toScreen(0, value / 60);
    pen.fillRect(margin.left - 5, top, 5, 1);
    pen.fillText(minus(value.toFixed(upDigits)), margin.left - 8, top + 4);
  }
  const [ra, dec] = cubes[state.cube].centre;
  pen.textAlign = "center";
  pen.fillText("← east (arcmin)", margin.left + width / 2, margin.top + height + 36);
  pen.textAlign = "left";
  label(pen, minus(`centre ${ra.toFixed(4)}° ${dec.toFixed(4)}°`), margin.left + 6, margin.top + height - 7);
  pen.save();
  pen.fillStyle = colour("--ink");
  pen.translate(14, margin.top + height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText("north (arcmin) →", 0, 0);
  pen.restore();
}

async function chooseAt(x, y) {
  const { row } = await askJson("/api/nearest", { x, y, where: state.where });
  if (row !== null) choose(row);
}

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  drag = { left: event.offsetX, top: event.offsetY, box: [...state.box], far: false };
});
canvas.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.offsetX - drag.left, event.offsetY - drag.top];
  if (Math.hypot(dx, dy) > 4) drag.far = true;
  if (!drag.far) return;
  const { width, height } = inner();
  const [lowX, highX, lowY, highY] = drag.box;
  const [x, y] = [(dx / width) * (highX - lowX), (dy / height) * (highY - lowY)];
  state.box = [lowX + x, highX + x, lowY + y, highY + y];
  moved();
});
canvas.addEventListener("pointerup", (event) => {
  if (drag && !drag.far) chooseAt(...fromScreen(event.offsetX, event.offsetY));
  drag = null;
});
canvas.addEventListener("pointercancel", () => (drag = null));
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, ...fromScreen(event.offsetX, event.offsetY));
  },
  { passive: false },
);
canvas.addEventListener("keydown", (event) => {
  const [width, height] = [state.box[1] - state.box[0], state.box[3] - state.box[2]];
  const steps = {
    ArrowLeft: () => shift(width / 8, 0),
    ArrowRight: () => shift(-width / 8, 0),
    ArrowUp: () => shift(0, height / 8),
    ArrowDown: () => shift(0, -height / 8),
    "+": () => zoom(0.7),
    "=": () => zoom(0.7),
    "-": () => zoom(1 / 0.7),
    0: showAll,
    Enter: () => chooseAt((state.box[0] + state.box[1]) / 2, (state.box[2] + state.box[3]) / 2),
  };
  if (steps[event.key] && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    steps[event.key]();
  }
});

function showAll() {
  state.box = fitted(cubes[state.cube].bounds);
  moved();
}
$("zoom-in").addEventListener("click", () => zoom(0.7));
$("zoom-out").addEventListener("click", () => zoom(1 / 0.7));
$("zoom-all").addEventListener("click", showAll);
new ResizeObserver(() => {
  if (!state.box) return;
  state.box = fitted(state.box);
  drawSky();
}).observe(canvas);

// ---- the list -------------------------------------------------------------

const headings = () => [
  ["", "id", false],
  ["", "RA (°)", true],
  ["", "Dec (°)", true],
  ...(state.extra ? [[state.extra, state.extra, true]] : []),
];

async function loadList() {
  const values = { where: state.where, sort: state.sort, order: state.order, first: state.first, columns: state.extra };
  let found;
  try {
    found = await latest("list", () => askJson("/api/sources", values));
  } catch (error) {
    showError(error.message);
    return;
  }
  if (found === null) return;
  listed = found.rows;
  const head = document.createElement("tr");
  for (const [column, title, numeric] of headings()) {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (numeric) cell.className = "number";
    if (column) {
      const unit = cubes[state.cube].columns.find((item) => item.name === column)?.unit;
      const button = document.createElement("button");
      const arrow = state.sort === column ? (state.order === "up" ? " ↑" : " ↓") : "";
      button.textContent = `${title}${unit ? ` (${unit})` : ""}${arrow}`;
      button.title = "Sort by this column";
      button.addEventListener("click", () => sortBy(column));
      cell.setAttribute("aria-sort", arrow ? (state.order === "up" ? "ascending" : "descending") : "none");
      cell.append(button);
    } else {
      cell.textContent = title;
    }
    head.append(cell);
  }
  $("list").tHead.replaceChildren(head);
  $("list").tBodies[0].replaceChildren(...listed.map(listRow));
  const last = found.first + listed.length;
  $("page-of").textContent = last ? `${found.first + 1} to ${last} of ${found.selected}` : "none";
  $("earlier").disabled = found.first === 0;
  $("later").disabled = last >= found.selected;
  $("later").dataset.page = found.page;
  markListed();
}

function listRow(item) {
  const row = document.createElement("tr");
  row.dataset.row = item.row;
  const link = document.createElement("a");
  link.href = `#row=${item.row}`;
  link.textContent = item.id;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    choose(item.row);
  });
  const name = document.createElement("td");
  name.append(link);
  row.append(name);
  // Integers come as text: an identifier of 64 bits does not fit a number here.
  const shown = (value) => (typeof value === "number" ? value.toPrecision(7) : value);
  const numbers = [item.ra?.toFixed(6), item.dec?.toFixed(6), ...item.values.map(shown)];
  for (const text of numbers) {
    const cell = document.createElement("td");
    cell.className = "number";
    cell.textContent = (text ?? "").replace("-", "−");
    row.append(cell);
  }
  return row;
}

function markListed() {
  for (const row of $("list").tBodies[0].rows) {
    const current = Number(row.dataset.row) === state.row;
    row.setAttribute("aria-current", current ? "true" : "false");
    if (current) row.scrollIntoView({ block: "nearest" });
  }
}

function sortBy(column) {
  state.order = state.sort === column && state.order === "up" ? "down" : "up";
  state.sort = column;
  state.first = 0;
  writeAddress();
  loadList();
}

function turnPage(direction) {
  const page = Number($("later").dataset.page || 50);
  const next = state.first + direction * page;
  if (next < 0 || next >= selected) return null;
  state.first = next;
  writeAddress();
  return loadList();
}
$("earlier").addEventListener("click", () => turnPage(-1));
$("later").addEventListener("click", () => turnPage(1));
$("extra").addEventListener("change", () => {
  state.extra = $("extra").value;
  if (!state.extra) state.sort = "";
  writeAddress();
  loadList();
});
$("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    choose((await askJson("/api/find", { id: $("find-id").value.trim() })).row);
    showError(null);
  } catch (error) {
    showError(error.message);
  }
});

document.addEventListener("keydown", async (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !["n", "p"].includes(event.key)) return;
  const step = event.key === "n" ? 1 : -1;
  let place = listed.findIndex((item) => item.row === state.row) + step;
  if (place < 0 && step < 0) {
    if (!(await turnPage(-1))) place = 0;
    else place = listed.length - 1;
  } else if (place >= listed.length) {
    await turnPage(1);
    place = 0;
  }
  if (listed[place]) choose(listed[place].row);
});

// ---- the filter -----------------------------------------------------------

function showError(text) {
  $("where-error").hidden = !text;
  $("where-error").textContent = text ?? "";
  $("where").setAttribute("aria-invalid", text ? "true" : "false");
}

function filterBy(text) {
  state.where = text.trim();
  state.first = 0;
  $("where").value = state.where;
  for (const button of $("quick").children) {
    button.setAttribute("aria-pressed", button.dataset.where === state.where ? "true" : "false");
  }
  writeAddress();
  loadSky();
  loadList();
}
$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  filterBy($("where").value);
});
$("clear").addEventListener("click", () => filterBy(""));

// ---- the source -----------------------------------------------------------

function choose(row) {
  state.row = row;
  writeAddress();
  markListed();
  loadSource();
}

async function loadSource() {
  if (state.row === null) return;
  $("right").setAttribute("aria-busy", "true");
  let found;
  try {
    found = await latest("source", async () => {
      const about = await askJson("/api/source", { row: state.row });
      const bytes = about.cutouts.length ? await (await ask("/api/cutouts", { row: state.row })).arrayBuffer() : null;
      return { about, bytes };
    });
  } catch (error) {
    $("source-error").hidden = false;
    $("source-error").textContent = error.message;
    $("right").setAttribute("aria-busy", "false");
    return;
  }
  if (found === null) return;
  chosen = found.about;
  $("nothing").hidden = true;
  $("source").hidden = false;
  $("source-error").hidden = true;
  $("source-id").textContent = chosen.id;
  const place = chosen.ra === null ? "no position" : `RA ${chosen.ra.toFixed(6)}°, Dec ${chosen.dec.toFixed(6)}° (ICRS)`;
  $("source-place").textContent = `${place}, row ${chosen.row}`.replace("-", "−");
  showMatches();
  pixels = found.bytes ? new Float32Array(found.bytes) : null;
  $("cutouts-part").hidden = pixels === null;
  drawCutouts();
  showFigures();
  showValues();
  drawSky();
  $("right").setAttribute("aria-busy", "false");
}

function cells(row, texts, numeric = []) {
  texts.forEach((text, place) => {
    const cell = document.createElement("td");
    if (numeric.includes(place)) cell.className = "number";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

function showMatches() {
  $("matches").tBodies[0].replaceChildren(
    ...chosen.matches.map((match) => {
      const row = document.createElement("tr");
      row.className = match.found ? "" : "absent";
      const separation = match.separation_arcsec === null ? "" : match.separation_arcsec.toFixed(3);
      return cells(row, [match.title, separation, match.candidates ?? "", match.id, match.summary], [1, 2]);
    }),
  );
}

const titles = {
  photometry: "Magnitudes against wavelength",
  light_curve: "Light curves by band",
  spectrum: "Spectrum with lines at its redshift",
  xp: "Coefficients of the Gaia XP spectra",
};
function showFigures() {
  $("figures").replaceChildren(
    ...chosen.figures.map((kind) => {
      const figure = document.createElement("figure");
      const picture = document.createElement("img");
      const query = new URLSearchParams({ cube: state.cube, row: chosen.row, kind, theme: dark.matches ? "dark" : "light" });
      picture.src = `/api/figure?${query}`;
      picture.alt = `${titles[kind]} of ${chosen.id}`;
      figure.append(picture);
      return figure;
    }),
  );
}

function showValues() {
  const wanted = $("values-filter").value.trim().toLowerCase();
  $("values").tBodies[0].replaceChildren(
    ...chosen.values
      .filter((item) => item.name.toLowerCase().includes(wanted))
      .map((item) => cells(document.createElement("tr"), [item.name, item.value, item.unit, item.description], [1])),
  );
}
$("values-filter").addEventListener("input", showValues);

// ---- cutouts --------------------------------------------------------------

const stretches = {
  linear: (t) => t,
  sqrt: (t) => Math.sqrt(t),
  log: (t) => Math.log1p(1000 * t) / Math.log(1001),
  asinh: (t) => Math.asinh(10 * t) / Math.asinh(10),
};

// Anchors of cividis (Nunez, Anderton & Renslow 2018, PLoS ONE 13, e0199239).
const cividis = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];
const palettes = {
  "grey, dark sky": (t) => [255 * t, 255 * t, 255 * t],
  "grey, light sky": (t) => [255 * (1 - t), 255 * (1 - t), 255 * (1 - t)],
  cividis: (t) => {
    const place = t * (cividis.length - 1);
    const first = Math.min(Math.floor(place), cividis.length - 2);
    return cividis[first].map((value, i) => value + (cividis[first + 1][i] - value) * (place - first));
  },
};

function limits(values) {
  const known = Float32Array.from(values.filter(Number.isFinite)).sort();
  if (!known.length) return null;
  const at = (percent) => known[Math.min(known.length - 1, Math.floor((percent / 100) * known.length))];
  const [low, high] = [at(Number($("low").value)), at(Number($("high").value))];
  return [low, high > low ? high : low + 1e-30];
}

function drawCutouts() {
  if (!pixels) return;
  const { bands, cutout_size_px: size } = cubes[state.cube];
  const shared = $("shared").checked ? limits(pixels) : null;
  const figures = bands.map((band, number) => {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const values = pixels.subarray(number * size * size, (number + 1) * size * size);
    const ends = shared ?? limits(values);
    if (!chosen.cutouts.includes(band) || ends === null || !values.some(Number.isFinite)) {
      const absent = document.createElement("div");
      absent.className = "absent";
      absent.textContent = chosen.cutouts.includes(band) ? "outside the image" : "no cutout";
      caption.textContent = band;
      figure.append(absent, caption);
      return figure;
    }
    figure.append(cutout(values, size, ends, band), caption);
    caption.textContent = `${band}  ${ends[0].toPrecision(3)} to ${ends[1].toPrecision(3)}`.replaceAll("-", "−");
    return figure;
  });
  $("cutouts").replaceChildren(...figures);
}

function cutout(values, size, [low, high], band) {
  const picture = document.createElement("canvas");
  picture.width = size;
  picture.height = size;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `Cutout in ${band}`);
  const pen = picture.getContext("2d");
  const image = pen.createImageData(size, size);
  const stretch = stretches[$("scale").value];
  const palette = palettes[$("palette").value];
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      // The first row of the file is the lowest of the image.
      const value = values[(size - 1 - y) * size + x];
      const place = 4 * (y * size + x);
      const known = Number.isFinite(value);
      const t = known ? stretch(Math.min(1, Math.max(0, (value - low) / (high - low)))) : 0;
      const [r, g, b] = known ? palette(t) : (x + y) % 6 < 2 ? [150, 110, 80] : [90, 80, 75];
      image.data.set([r, g, b, 255], place);
    }
  }
  pen.putImageData(image, 0, 0);
  // A cross that leaves the source free.
  pen.strokeStyle = "#e69f00";
  pen.lineWidth = 1;
  const middle = Math.floor(size / 2) + 0.5;
  const above = size - middle;
  const [near, far] = [Math.max(4, size / 10), Math.max(7, size / 5)];
  pen.beginPath();
  for (const [dx, dy] of [[1, 0], [0, -1]]) {
    pen.moveTo(middle + near * dx, above + near * dy);
    pen.lineTo(middle + far * dx, above + far * dy);
  }
  pen.stroke();
  return picture;
}
for (const name of ["scale", "palette", "low", "high", "shared"]) $(name).addEventListener("input", drawCutouts);

// ---- begin ----------------------------------------------------------------

function showCube() {
  const cube = cubes[state.cube];
  document.title = `${cube.field}: hypercube`;
  $("title").textContent = cube.field;
  $("synthetic").hidden = !cube.synthetic;
  $("cube").value = String(state.cube);
  $("where").value = state.where;
  const options = cube.columns.map(({ name }) => Object.assign(document.createElement("option"), { value: name }));
  $("columns").replaceChildren(...options);
  const none = Object.assign(document.createElement("option"), { value: "", textContent: "no other column" });
  const others = cube.columns.map(({ name }) => Object.assign(document.createElement("option"), { value: name, textContent: name }));
  $("extra").replaceChildren(none, ...others);
  $("extra").value = state.extra;
  $("quick").replaceChildren(
    ...cube.surveys
      .filter((survey) => survey.has_separation)
      .map((survey) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.where = `isfinite(${survey.name}_separation_arcsec)`;
        button.textContent = `${survey.title} ${(survey.matches ?? 0).toLocaleString("en")}`;
        button.setAttribute("aria-pressed", button.dataset.where === state.where ? "true" : "false");
        button.addEventListener("click", () => filterBy(button.dataset.where === state.where ? "" : button.dataset.where));
        return button;
      }),
  );
}

async function show() {
  showCube();
  await Promise.all([loadSky(), loadList(), loadSource()]);
  document.body.dataset.ready = "true";
}

$("cube").addEventListener("change", () => {
  Object.assign(state, { cube: Number($("cube").value), row: null, first: 0, sort: "", extra: "" });
  state.box = fitted(cubes[state.cube].bounds);
  chosen = null;
  $("source").hidden = true;
  $("nothing").hidden = false;
  writeAddress();
  show();
});
addEventListener("hashchange", () => {
  readAddress();
  show();
});
dark.addEventListener("change", () => {
  drawSky();
  if (chosen) showFigures();
});

cubes = (await (await fetch("/api/cubes")).json()).cubes;
$("choose-cube").hidden = cubes.length < 2;
$("cube").replaceChildren(
  ...cubes.map((cube, number) => Object.assign(document.createElement("option"), { value: String(number), textContent: cube.field })),
);
readAddress();
await show();
