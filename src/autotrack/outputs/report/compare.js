// What differs between two runs.
const pairHead = h("div", { class: "head" });
const pairBody = h("div");
document.getElementById("compare").append(pairHead, pairBody);
const pair = { a: 1, b: 0, all: false };

function facts(run) {
  const metrics = Object.fromEntries(Object.entries(run.metrics).map(([key, value]) => [key, value.last]));
  const own = { experiment: run.experiment, status: run.status, started: moment(run.started), duration: duration(run.duration), user: run.user, host: run.host };
  return { Run: own, Params: run.params, Metrics: metrics, Tags: run.tags, ...run.context };
}

function pairRow(key, a, b, numeric) {
  const same = JSON.stringify(a) === JSON.stringify(b);
  const x = number(a), y = number(b);
  const change = numeric && !same && Number.isFinite(x) && Number.isFinite(y) && x !== 0 ? (y - x) / Math.abs(x) : NaN;
  const note = Number.isFinite(change) && h("small", {}, `${change > 0 ? "+" : "−"}${format(Math.abs(change) * 100, 3)} %`);
  return h("tr", { class: same ? "" : "changed" }, h("td", {}, key), h("td", {}, format(a, 8)), h("td", {}, format(b, 8), note));
}

function pairGroup(name, left = {}, right = {}) {
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  const wanted = keys.filter((key) => pair.all || JSON.stringify(left[key]) !== JSON.stringify(right[key]));
  if (!wanted.length) return [];
  const rows = wanted.map((key) => pairRow(key, left[key], right[key], name === "Params" || name === "Metrics"));
  return [h("tr", { class: "group" }, h("td", { colspan: 3 }, name)), ...rows];
}

// The lines of two texts, kept, removed or added: a longest common subsequence between what both begin and end with.
function lineDiff(a, b) {
  let head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const left = a.slice(head, a.length - tail), right = b.slice(head, b.length - tail);
  const lines = a.slice(Math.max(0, head - 3), head).map((text) => [" ", text]);
  if (left.length * right.length > 4e6) lines.push(...left.map((text) => ["-", text]), ...right.map((text) => ["+", text]));
  else lines.push(...middleDiff(left, right));
  return [...lines, ...a.slice(a.length - tail, a.length - tail + 3).map((text) => [" ", text])];
}

function middleDiff(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--) lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
  const lines = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { lines.push([" ", a[i++]]); j++; }
    else if (i < a.length && (j >= b.length || lengths[i + 1][j] >= lengths[i][j + 1])) lines.push(["-", a[i++]]);
    else lines.push(["+", b[j++]]);
  }
  return lines;
}

function patchDiff(a, b) {
  const [left, right] = [a, b].map((run) => (run.patch === null ? "" : data.shared[run.patch]));
  if (left === right) return null;
  const classes = { "+": "in", "-": "out", " ": "" };
  const lines = lineDiff(left.split("\n"), right.split("\n")).map(([sign, text]) => h("span", { class: classes[sign] }, `${sign} ${text}`));
  return h("details", { open: true }, h("summary", {}, "Uncommitted changes, one against the other"), h("pre", { class: "patch" }, lines));
}

function drawPair() {
  const a = runs[pair.a], b = runs[pair.b];
  const left = facts(a), right = facts(b);
  const groups = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  const rows = groups.flatMap((name) => pairGroup(name, left[name], right[name]));
  const patch = patchDiff(a, b);
  if (!rows.length && !patch) return pairBody.replaceChildren(h("p", { class: "empty" }, "Nothing that was recorded differs."));
  const head = h("tr", {}, h("th", {}), h("th", { title: a.id }, a.name), h("th", { title: b.id }, b.name));
  pairBody.replaceChildren(h("div", { class: "scroll" }, h("table", { class: "diff" }, h("thead", {}, head), h("tbody", {}, rows))), patch ?? "");
}

function startPair() {
  pairHead.append(h("h2", {}, "Compare"));
  if (runs.length < 2) return pairBody.append(h("p", { class: "empty" }, "It takes two runs to compare."));
  const namesakes = (run) => runs.some((other) => other !== run && other.name === run.name);
  const options = runs.map((run) => ({ id: String(run.index), label: namesakes(run) ? `${run.name} (${run.id.slice(0, 8)})` : run.name }));
  const pick = (name) => choice(options, String(pair[name]), (value) => { pair[name] = Number(value); drawPair(); }, `run ${name}`);
  const all = h("input", { type: "checkbox", onchange: () => { pair.all = all.checked; drawPair(); } });
  pairHead.append(pick("a"), h("span", {}, "and"), pick("b"), h("label", {}, all, "also what is the same"));
  drawPair();
}
