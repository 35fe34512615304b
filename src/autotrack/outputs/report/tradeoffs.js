// Two objectives against each other; runs that no other run beats in both are the front.
const tradeHead = h("div", { class: "head" });
const tradeBody = h("figure");
document.getElementById("tradeoffs").append(tradeHead, tradeBody);

const AGGREGATES = { "": "last", ".min": "lowest", ".max": "highest" };
const axes = [
  ...data.columns.metrics.flatMap((key) => Object.entries(AGGREGATES)
    .filter(([suffix]) => !suffix || runs.some((run) => run.metrics[key]?.count > 1))
    .map(([suffix, name]) => ({ id: `metrics.${key}${suffix}`, group: "Metrics", label: suffix ? `${key} (${name})` : key, way: sense(key) ?? "max", get: (run) => number(run.metrics[key]?.[suffix.slice(1) || "last"]) }))),
  { id: "run.duration", group: "Run", label: "duration", way: "min", text: duration, get: (run) => run.duration ?? NaN },
  ...columns.filter((column) => column.group === "Params" && column.numeric && data.columns.differing.includes(column.label))
    .map((column) => ({ id: column.id, group: "Params", label: column.label, way: "min", get: (run) => number(column.get(run)) })),
];
const trade = { x: data.columns.tradeoff[0], y: data.columns.tradeoff[1], ways: {} };
const axis = (id) => axes.find((one) => one.id === id) ?? axes[0];
const wayOf = (id) => trade.ways[id] ?? axis(id).way;

function tradeControls() {
  const pick = (name) => {
    const arrow = h("button", { type: "button", title: "which way is better", onclick: () => { trade.ways[trade[name]] = wayOf(trade[name]) === "min" ? "max" : "min"; drawTrade(); } });
    trade[`${name}Arrow`] = arrow;
    return [choice(axes, trade[name], (value) => { trade[name] = value; drawTrade(); }, `${name} axis`), arrow];
  };
  tradeHead.append(h("h2", {}, "Trade-offs", h("small", { id: "front-count" })), ...pick("y"), h("span", {}, "against"), ...pick("x"));
}

function frontOf(points) {
  const sign = (id) => (wayOf(id) === "min" ? 1 : -1);
  const order = points.map((point) => ({ point, a: point.x * sign(trade.x), b: point.y * sign(trade.y) })).sort((p, q) => p.a - q.a || p.b - q.b);
  let best = Infinity, at = NaN;
  return order.filter(({ a, b }) => {
    const stays = b < best || (b === best && a === at);
    if (b < best) { best = b; at = a; }
    return stays;
  }).map(({ point }) => point);
}

function drawTrade() {
  const ends = { min: "less is better", max: "more is better" };
  for (const name of ["x", "y"]) trade[`${name}Arrow`].textContent = ends[wayOf(trade[name])];
  const points = shown().map((run) => ({ run, x: axis(trade.x).get(run), y: axis(trade.y).get(run) })).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const left = shown().length - points.length;
  const front = frontOf(points);
  document.getElementById("front-count").textContent = points.length ? `${front.length} of ${points.length} on the front${left ? ` · ${left} without both values` : ""}` : "";
  if (!points.length) return tradeBody.replaceChildren(h("p", { class: "empty" }, "None of the runs shown has both values."));
  const width = Math.max(280, tradeBody.clientWidth || 600), height = 400, margin = 58;
  const log = (values) => values.length > 2 && wantsLog(values);
  const x = scale(points.map((point) => point.x), margin, width - 8, log(points.map((point) => point.x)), 0.06);
  const y = scale(points.map((point) => point.y), height - 34, 18, log(points.map((point) => point.y)), 0.08);
  const svg = canvas(width, height, x, y, margin, { title: "trade-offs", x: axis(trade.x).label, y: axis(trade.y).label, xText: axis(trade.x).text, yText: axis(trade.y).text });
  const steps = front.map((point, at) => `${at ? `H${x.place(point.x).toFixed(1)}V` : `M${x.place(point.x).toFixed(1)} `}${y.place(point.y).toFixed(1)}`).join("");
  svg.append(h("path", { class: "front", d: steps }));
  const colors = coloring(), best = new Set(front);
  for (const point of [...points.filter((one) => !best.has(one)), ...front]) svg.append(tradeDot(point, x, y, best.has(point), colors));
  tradeBody.replaceChildren(svg, state.colorBy ? legend(shown(), colors) : "");
}

function tradeDot(point, x, y, best, colors) {
  const { run } = point, color = colors.color(run);
  const line = (name, value) => h("div", {}, axis(trade[name]).label, h("b", {}, (axis(trade[name]).text ?? format)(value, 6)));
  const changed = data.columns.differing.slice(0, 6).filter((key) => run.params[key] !== undefined).map((key) => h("div", {}, key, h("b", {}, format(run.params[key]))));
  return h("circle", {
    cx: x.place(point.x), cy: y.place(point.y), r: best ? 6 : 4, fill: color, "fill-opacity": best ? 1 : 0.35, stroke: best ? "var(--card)" : color, "stroke-width": best ? 1.5 : 1,
    "data-front": best ? run.index : null,
    onpointermove: (event) => showTip(event, h("div", { class: "lit" }, h("i", { color }), run.name, h("b", {}, best ? "on the front" : "")), line("y", point.y), line("x", point.x), ...changed),
    onpointerleave: hideTip,
    onclick: () => { state.lit = run; drawTable(); document.querySelector("#runs tr.lit")?.scrollIntoView({ block: "center", behavior: "smooth" }); },
  });
}

function startTrade() {
  if (!axes.length || !runs.length || !data.columns.metrics.length) {
    tradeHead.append(h("h2", {}, "Trade-offs"));
    tradeBody.append(h("p", { class: "empty" }, "There is nothing to weigh: no metric was logged."));
    return;
  }
  tradeControls();
  redraws.push(drawTrade);
}
