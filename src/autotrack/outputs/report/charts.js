// Charts in SVG: scales, axes, lines and dots.
const MOMENTS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

function ticks(low, high, wanted, log, steps) {
  if (log) {
    const powers = [];
    for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power++) powers.push(10 ** power);
    if (powers.length >= 2) return powers.filter((_, at) => at % Math.ceil(powers.length / wanted) === 0);
  }
  const raw = (high - low) / wanted || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const round = raw >= 1 && steps?.find((size) => size >= raw * 0.999);
  const step = round || [1, 2, 2.5, 5, 10].find((size) => size * unit >= raw * 0.999) * unit;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(+(at * step).toPrecision(12));
  return found;
}

function scale(values, from, to, log, pad) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value) && (!log || value > 0)) { if (value < low) low = value; if (value > high) high = value; }
  if (low > high) [low, high] = log ? [0.1, 1] : [0, 1];
  if (low === high) [low, high] = log ? [low / 2, low * 2] : [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const turn = log ? Math.log10 : (value) => value;
  const room = (turn(high) - turn(low)) * pad;
  const start = turn(low) - room, end = turn(high) + room;
  const place = (value) => from + ((turn(value) - start) / (end - start)) * (to - from);
  const back = log ? (value) => 10 ** value : (value) => value;
  return { place, log, low: back(start), high: back(end), ticks: (wanted, steps) => ticks(back(start), back(end), wanted, log, steps) };
}

const wantsLog = (values) => {
  const sizes = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sizes.length > 1 && sizes[0] > 0 && sizes[Math.floor(sizes.length * 0.98)] / sizes[Math.floor(sizes.length * 0.02)] >= 100;
};

function canvas(width, height, x, y, left, labels = {}) {
  const svg = h("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": labels.title });
  const bottom = height - 34;
  for (const value of y.ticks(5, labels.yText === duration ? MOMENTS : null)) {
    svg.append(h("line", { class: "gridline", x1: left, x2: width - 8, y1: y.place(value), y2: y.place(value) }));
    svg.append(h("text", { x: left - 7, y: y.place(value) + 4, "text-anchor": "end" }, (labels.yText ?? format)(value, 4)));
  }
  for (const value of x.ticks(Math.max(2, Math.floor(width / 110)), labels.xText === duration ? MOMENTS : null)) {
    svg.append(h("line", { class: "axis", x1: x.place(value), x2: x.place(value), y1: bottom, y2: bottom + 4 }));
    svg.append(h("text", { x: x.place(value), y: bottom + 16, "text-anchor": "middle" }, (labels.xText ?? format)(value, 4)));
  }
  svg.append(h("line", { class: "axis", x1: left, x2: width - 8, y1: bottom, y2: bottom }));
  if (labels.x) svg.append(h("text", { x: width - 8, y: height - 3, "text-anchor": "end" }, labels.x));
  if (labels.y) svg.append(h("text", { x: 2, y: 10 }, labels.y));
  return svg;
}

// A line with a gap where a value is missing or infinite, and where the steps go back; points alone are dots.
function linePath(points) {
  let path = "", start = true, alone = null;
  points.forEach((point, at) => {
    const [x, y] = point;
    if (!Number.isFinite(y) || !Number.isFinite(x)) { start = true; return; }
    if (!start && x < points[at - 1][0]) start = true;
    const next = points[at + 1];
    alone = start && !(next && Number.isFinite(next[1]) && next[0] >= x);
    path += `${start ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (alone) path += `m-1.2 0a1.2 1.2 0 1 0 2.4 0a1.2 1.2 0 1 0 -2.4 0`;
    start = alone;
  });
  return path;
}

// Exponential moving average without the bias of its start; gaps stay gaps.
function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0, count = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    sum = sum * weight + value * (1 - weight);
    count = count * weight + (1 - weight);
    return sum / count;
  });
}

function legend(list, colors) {
  if (colors.legend?.order) {
    const entries = colors.legend.order.slice(0, 24).map((value) => {
      const run = runs.find((one) => JSON.stringify(one.params[colors.legend.key]) === value);
      return h("span", {}, h("i", { color: colors.color(run) }), `${colors.legend.key} = ${format(run.params[colors.legend.key])}`);
    });
    return h("div", { class: "legend" }, entries, colors.legend.order.length > 24 && h("span", {}, `and ${colors.legend.order.length - 24} more values`));
  }
  if (colors.legend) {
    const { key, low, high } = colors.legend;
    return h("div", { class: "legend" }, h("span", { class: "ramp" }, h("b", {}, key), format(low), h("i", { color: `linear-gradient(90deg, ${RAMP.join(",")})` }), format(high)));
  }
  const entries = list.slice(0, 12).map((run) => h("span", {}, h("i", { color: colors.color(run) }), run.name));
  return h("div", { class: "legend" }, entries, list.length > 12 && h("span", {}, `and ${list.length - 12} more; point at a line to see its run`));
}
