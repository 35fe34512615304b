// The metrics over their steps or their time; a metric with one value per run is a row of bars.
const curveHead = h("div", { class: "head" });
const pills = h("div", { class: "pills" });
const curveGrid = h("div", { class: "grid" });
const curveLegend = h("div");
document.getElementById("curves").append(curveHead, pills, curveGrid, curveLegend);
const curveChoice = { axis: "step", scale: "auto", smooth: 0, metrics: new Set(data.columns.charts) };

function curveControls() {
  const set = (name) => (value) => { curveChoice[name] = value; drawCurves(); };
  const slider = h("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: 0, "aria-label": "smoothing", oninput: () => set("smooth")(Number(slider.value)) });
  const colors = [{ id: "", label: "each run" }, ...data.columns.differing.map((key) => ({ id: key, label: key }))];
  curveHead.append(
    h("h2", {}, "Curves"),
    h("label", {}, "colour by", choice(colors, state.colorBy, (value) => { state.colorBy = value; redraw(); }, "colour by")),
    h("label", {}, "over", choice([{ id: "step", label: "step" }, { id: "time", label: "time" }], "step", set("axis"), "horizontal axis")),
    h("label", {}, "scale", choice([{ id: "auto", label: "automatic" }, { id: "linear", label: "linear" }, { id: "log", label: "logarithmic" }], "auto", set("scale"), "vertical scale")),
    h("label", {}, "smooth", slider),
  );
  for (const key of Object.keys(data.curves)) {
    const pill = h("button", {
      type: "button", "aria-pressed": curveChoice.metrics.has(key),
      onclick: () => {
        if (!curveChoice.metrics.delete(key)) curveChoice.metrics.add(key);
        pill.setAttribute("aria-pressed", curveChoice.metrics.has(key));
        drawCurves();
      },
    }, key);
    pills.append(pill);
  }
}

function drawCurves() {
  const list = shown();
  const keys = Object.keys(data.curves).filter((key) => curveChoice.metrics.has(key));
  if (!Object.keys(data.curves).length) return curveGrid.replaceChildren(h("p", { class: "empty" }, "No metric was logged."));
  const colors = coloring();
  curveGrid.replaceChildren();
  const figures = keys.map((key) => curveGrid.appendChild(h("figure")));
  keys.forEach((key, at) => drawMetric(figures[at], key, list, colors));
  if (!keys.length) curveGrid.append(h("p", { class: "empty" }, "Choose a metric above."));
  curveLegend.replaceChildren(keys.length ? legend(list, colors) : "");
}

function drawMetric(figure, key, list, colors) {
  const curves = data.curves[key].filter((curve) => list.includes(runs[curve.run]));
  const thinned = curves.filter((curve) => curve.count > curve.value.length).length;
  const hint = thinned ? `${thinned} of ${curves.length} curves thinned out, extremes kept` : "";
  figure.append(h("figcaption", {}, key, h("small", {}, hint)));
  if (!curves.length) return figure.append(h("p", { class: "empty" }, "None of the runs shown has it."));
  if (curves.every((curve) => curve.count === 1)) return drawBars(figure, key, curves, colors);
  drawLines(figure, key, curves, colors);
}

function drawLines(figure, key, curves, colors) {
  const width = Math.max(280, figure.clientWidth), height = 290, left = 58;
  const time = curveChoice.axis === "time";
  const series = curves.map((curve) => {
    const raw = curve.value.map((value) => (value === null ? NaN : number(value)));
    return { run: runs[curve.run], color: colors.color(runs[curve.run]), xs: time ? curve.time : curve.step, raw, ys: smoothed(raw, curveChoice.smooth) };
  });
  const all = series.flatMap((one) => one.raw);
  const log = curveChoice.scale === "log" || (curveChoice.scale === "auto" && wantsLog(all));
  const x = scale(series.flatMap((one) => one.xs), left, width - 8, false, 0.01);
  const y = scale(curveChoice.smooth ? series.flatMap((one) => one.ys) : all, height - 34, 16, log, 0.05);
  const svg = canvas(width, height, x, y, left, { title: key, x: time ? "time since the run's start" : "step", xText: time ? duration : undefined });
  const outside = all.filter((value) => !Number.isFinite(value)).length;
  if (outside) figure.querySelector("small").append(`${figure.querySelector("small").textContent ? " · " : ""}${outside} points are NaN or infinite: gaps`);
  const many = series.length > 12 ? " many" : "";
  for (const one of series) {
    one.points = one.ys.map((value, at) => [x.place(one.xs[at]), y.place(value)]);
    if (curveChoice.smooth && !many) svg.append(h("path", { class: "line raw", stroke: one.color, d: linePath(one.raw.map((value, at) => [x.place(one.xs[at]), y.place(value)])) }));
    one.path = h("path", { class: `line${many}`, stroke: one.color, d: linePath(one.points) });
    svg.append(one.path);
  }
  figure.append(svg);
  hoverLines(svg, series, { width, height, time });
}

function nearest(series, px, py) {
  let best = null;
  for (const one of series) {
    one.near = null;
    one.points.forEach(([x, y], at) => {
      if (!Number.isFinite(y)) return;
      const far = Math.abs(x - px);
      if (one.near === null || far < one.near.far) one.near = { far, at };
      const distance = far * far * 4 + (y - py) * (y - py);
      if (best === null || distance < best.distance) best = { distance, one, at };
    });
  }
  return best;
}

function hoverLines(svg, series, { width, height, time }) {
  const cross = h("line", { class: "cross", y1: 16, y2: height - 34, visibility: "hidden" });
  const mark = h("circle", { r: 4, visibility: "hidden" });
  svg.append(cross, mark);
  const clear = () => {
    hideTip();
    for (const node of [cross, mark]) node.setAttribute("visibility", "hidden");
    for (const one of series) one.path.classList.remove("lit", "dim");
  };
  svg.addEventListener("pointerleave", clear);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const px = (event.clientX - box.left) * (width / box.width), py = event.clientY - box.top;
    const best = nearest(series, px, py);
    if (!best) return clear();
    const [x, y] = best.one.points[best.at];
    for (const one of series) { one.path.classList.toggle("lit", one === best.one); one.path.classList.toggle("dim", one !== best.one && series.length > 1); }
    for (const [name, value] of [["x1", x], ["x2", x], ["visibility", "visible"]]) cross.setAttribute(name, value);
    for (const [name, value] of [["cx", x], ["cy", y], ["fill", best.one.color], ["visibility", "visible"]]) mark.setAttribute(name, value);
    const at = (one) => (one === best.one ? best.at : one.near.at);
    const others = series.filter((one) => one === best.one || (one.near && one.near.far < 6));
    others.sort((a, b) => Math.abs(a.points[at(a)][1] - py) - Math.abs(b.points[at(b)][1] - py));
    const close = [best.one, ...others.filter((one) => one !== best.one)].slice(0, 8).sort((a, b) => a.points[at(a)][1] - b.points[at(b)][1]);
    const when = best.one.xs[best.at];
    showTip(event, h("h4", {}, time ? duration(when) : `step ${format(when)}`), ...close.map((one) =>
      h("div", { class: one === best.one ? "lit" : "" }, h("i", { color: one.color }), one.run.name, h("b", {}, format(one.raw[at(one)], 6)))));
  });
}

const BARS = 12;

function drawBars(figure, key, curves, colors) {
  const way = sense(key) === "min" ? 1 : -1;
  const rows = curves.map((curve) => ({ run: runs[curve.run], value: curve.value[0] === null ? NaN : number(curve.value[0]) }));
  rows.sort((a, b) => (Number.isNaN(a.value) - Number.isNaN(b.value)) || (a.value - b.value || 0) * way);
  const some = rows.slice(0, BARS), line = 21;
  const width = Math.max(280, figure.clientWidth), left = Math.min(180, width * 0.36), height = some.length * line + 40;
  const x = scale([0, ...some.map((row) => row.value)], left, width - 70, false, 0);
  const svg = h("svg", { viewBox: `0 0 ${width} ${height - 34}`, height: height - 34, role: "img", "aria-label": key });
  some.forEach(({ run, value }, at) => {
    const top = at * line + 4, zero = x.place(0), end = Number.isFinite(value) ? x.place(value) : zero;
    const name = run.name.length * 6.4 > left ? `${run.name.slice(0, Math.floor(left / 6.6) - 1)}…` : run.name;
    const tell = (event) => showTip(event, h("div", { class: "lit" }, h("i", { color: colors.color(run) }), run.name, h("b", {}, format(value, 8))));
    svg.append(h("g", { onpointermove: tell, onpointerleave: hideTip },
      h("rect", { class: "hit", x: 0, y: top - 3, width, height: line }),
      h("text", { class: "label", x: left - 8, y: top + 11.5, "text-anchor": "end" }, name),
      h("rect", { x: Math.min(zero, end), y: top, width: Math.max(1, Math.abs(end - zero)), height: line - 6, rx: 3, fill: colors.color(run) }),
      h("text", { x: Math.max(zero, end) + 6, y: top + 11.5 }, format(value))));
  });
  figure.append(svg);
  if (rows.length > some.length) figure.querySelector("small").append(`the first ${some.length} of ${rows.length}`);
}

function startCurves() {
  if (Object.keys(data.curves).length) curveControls();
  else curveHead.append(h("h2", {}, "Curves"));
  redraws.push(drawCurves);
}
