// The data of the page, the selection that is shown, and helper functions of all parts.
const data = JSON.parse(document.getElementById("data").textContent);
const runs = data.runs;
const PALETTE = ["#4269d0", "#e8950c", "#e0554b", "#2aa198", "#3ca951", "#d55c9a", "#8f56e0", "#5aa2e8", "#9c6b4e", "#7c8494"];
const RAMP = ["#5b3fb5", "#3f74d1", "#22a3a0", "#6fb53c", "#eda21a", "#df4f3a"];
const state = { filter: () => true, hidden: new Set(), lit: null, colorBy: "", sort: null };
const redraws = [];

function h(tag, attributes = {}, ...children) {
  const svg = SVG_TAGS.has(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "color") node.style.setProperty("--c", value);
    else node.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
const SVG_TAGS = new Set(["svg", "g", "path", "line", "rect", "circle", "text"]);

const redraw = () => redraws.forEach((draw) => draw());
const matching = () => runs.filter((run) => state.filter(run));
const shown = () => runs.filter((run) => state.filter(run) && !state.hidden.has(run));

// Numbers travel as numbers, "NaN", "Infinity", "-Infinity"; a curve's NaN is null.
function number(value) {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value === "Infinity" ? Infinity : value === "-Infinity" ? -Infinity : NaN;
}

function format(value, digits = 5) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value).replace("-", "−");
  const text = size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(digits - 2) : String(+value.toPrecision(digits));
  return text.replace("-", "−").replace(/e\+?−?(-?)/, (match) => "e" + (match.includes("-") || match.includes("−") ? "−" : ""));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${+(seconds * 1000).toPrecision(3)} ms`;
  if (seconds < 59.95) return `${+seconds.toPrecision(3)} s`;
  if (seconds >= 172800) return `${+(seconds / 86400).toFixed(1)} d`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  const parts = whole < 3600 ? [[minutes, "min"], [whole % 60, "s"]] : [[Math.floor(minutes / 60), "h"], [minutes % 60, "min"]];
  return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

function moment(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const two = (part) => String(part).padStart(2, "0");
  const at = new Date(seconds * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function blend(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const from = Math.min(Math.floor(place), stops.length - 2);
  const part = (color, at) => parseInt(color.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => Math.round(part(stops[from], at) * (1 - place + from) + part(stops[from + 1], at) * (place - from)));
  return `rgb(${mixed.join(" ")})`;
}

// A run's colour: its own while there are few, else by a parameter's value.
function coloring() {
  const key = state.colorBy;
  if (!key) return { color: (run) => PALETTE[run.index % PALETTE.length], legend: null };
  const values = [...new Set(runs.map((run) => run.params[key]).filter((value) => value !== undefined))];
  const numbers = values.map(number).filter(Number.isFinite);
  if (numbers.length === values.length && numbers.length > 2) {
    const low = Math.min(...numbers), high = Math.max(...numbers);
    const log = low > 0 && high / low >= 20;
    const share = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    const color = (run) => (run.params[key] === undefined ? "var(--faint)" : blend(RAMP, share(number(run.params[key]))));
    return { color, legend: { key, low, high } };
  }
  const order = values.map((value) => JSON.stringify(value)).sort();
  const color = (run) => {
    const place = order.indexOf(JSON.stringify(run.params[key]));
    return place < 0 ? "var(--faint)" : PALETTE[place % PALETTE.length];
  };
  return { color, legend: { key, order } };
}

const tip = document.getElementById("tip");
function showTip(event, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const right = event.clientX + 16 + box.width > innerWidth;
  tip.style.left = `${Math.max(6, right ? event.clientX - box.width - 16 : event.clientX + 16)}px`;
  tip.style.top = `${Math.min(Math.max(6, event.clientY - box.height / 2), Math.max(6, innerHeight - box.height - 6))}px`;
}
const hideTip = () => { tip.hidden = true; };

function choice(options, value, change, label) {
  const select = h("select", { "aria-label": label, onchange: () => change(select.value) });
  let group = select, name;
  for (const option of options) {
    if (option.group !== name) {
      name = option.group;
      group = h("optgroup", { label: name });
      select.append(group);
    }
    group.append(h("option", { value: option.id, selected: option.id === value }, option.label));
  }
  return select;
}

// Which way is better, by the words in a metric's name; the same lists as in the Python package come with the data.
function sense(key) {
  const words = key.toLowerCase().split(/[^a-z0-9]+/);
  if (words.includes("neg")) return "max";
  if (words.some((word) => data.words.min.includes(word))) return "min";
  return words.some((word) => data.words.max.includes(word)) ? "max" : null;
}
