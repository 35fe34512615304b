// The table of runs: sorted by a click on a heading, filtered by the words above it.
const columns = [
  { id: "run.name", group: "Run", label: "name", get: (run) => run.name, show: true },
  { id: "run.experiment", group: "Run", label: "experiment", get: (run) => run.experiment, show: true },
  { id: "run.status", group: "Run", label: "status", get: (run) => run.status, show: true },
  { id: "run.started", group: "Run", label: "started", get: (run) => run.started, text: moment, show: true },
  { id: "run.duration", group: "Run", label: "duration", get: (run) => run.duration, text: duration, show: true },
  { id: "run.kind", group: "Run", label: "kind", get: (run) => run.kind },
  { id: "run.user", group: "Run", label: "user", get: (run) => run.user },
  { id: "run.host", group: "Run", label: "host", get: (run) => run.host },
  { id: "run.id", group: "Run", label: "id", get: (run) => run.id },
  ...data.columns.params.map((key) => ({ id: `params.${key}`, group: "Params", label: key, get: (run) => run.params[key], show: data.columns.shown.includes(`params.${key}`) })),
  ...data.columns.metrics.map((key) => ({ id: `metrics.${key}`, group: "Metrics", label: key, get: (run) => run.metrics[key]?.last, show: data.columns.shown.includes(`metrics.${key}`) })),
  ...data.columns.tags.map((key) => ({ id: `tags.${key}`, group: "Tags", label: key, get: (run) => run.tags[key] })),
];
const byId = new Map(columns.map((column) => [column.id, column]));
for (const column of columns) column.numeric = column.group === "Metrics" || column.id !== "run.started" && runs.some((run) => typeof column.get(run) === "number");
const ROWS = 200;
let everyRow = false;

function compare(a, b) {
  const missing = (value) => value === undefined || value === null || value === "NaN";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const x = number(a), y = number(b);
  if (!Number.isNaN(x) && !Number.isNaN(y)) return (x - y || 0) * state.direction;
  return String(a).localeCompare(String(b), undefined, { numeric: true }) * state.direction;
}

function sorted(list) {
  if (!state.sort) return list;
  return [...list].sort((a, b) => compare(state.sort.get(a), state.sort.get(b)) || a.index - b.index);
}

function sortBy(column) {
  const again = state.sort === column;
  const first = column.group === "Metrics" && sense(column.label) === "max" ? -1 : 1;
  state.direction = again ? -state.direction : first;
  state.sort = again && state.direction === first ? null : column;
  redraw();
}

const OPERATORS = {
  "<": (order) => order < 0, "<=": (order) => order <= 0, ">": (order) => order > 0, ">=": (order) => order >= 0,
  "=": (order) => order === 0, "!=": (order) => order !== 0,
};

function condition(word) {
  const parts = /^([^<>=!]+)(<=|>=|!=|==?|<|>)(.+)$/.exec(word);
  if (!parts) {
    const text = word.toLowerCase();
    return (run) => run.words.includes(text);
  }
  const [, key, operator, wanted] = parts;
  const column = byId.get(key) ?? columns.find((one) => one.label === key || one.label.endsWith(`.${key}`) || one.label.endsWith(`/${key}`));
  if (!column) throw key;
  const test = OPERATORS[operator === "==" ? "=" : operator];
  const goal = wanted.trim() === "" ? NaN : Number(wanted);
  return (run) => {
    const value = column.get(run);
    if (value === undefined || value === null) return operator === "!=";
    const mine = number(value);
    if (!Number.isNaN(goal) && !Number.isNaN(mine)) return test(mine - goal);
    return test(String(value).toLowerCase() === wanted.toLowerCase() ? 0 : String(value).localeCompare(wanted));
  };
}

function readFilter() {
  const box = document.getElementById("filter"), matches = document.getElementById("matches");
  matches.className = "";
  try {
    const conditions = (box.value.match(/\S+/g) ?? []).map(condition);
    state.filter = (run) => conditions.every((holds) => holds(run));
    matches.textContent = conditions.length ? `${matching().length} of ${runs.length}` : "";
  } catch (key) {
    if (typeof key !== "string") throw key;
    matches.textContent = `no column “${key}”`;
    matches.className = "bad";
  }
  redraw();
}

function bestOf(column) {
  const way = column.group === "Metrics" && sense(column.label);
  const values = way ? matching().map((run) => number(column.get(run))).filter(Number.isFinite) : [];
  return values.length > 1 ? Math[way](...values) : NaN;
}

function cell(column, run, best) {
  const value = column.get(run);
  if (column.id === "run.name") return h("td", { class: "name text", title: `${run.name} · ${run.id}` }, run.name);
  if (column.id === "run.status") return h("td", {}, h("span", { class: `status ${run.status}` }, run.status));
  const kind = value === undefined || value === null ? "none" : column.numeric ? "number" : "text";
  const text = column.text ? column.text(value) : format(value);
  return h("td", { class: `${kind}${column.numeric ? " number" : ""}${number(value) === best ? " best" : ""}`, title: kind === "text" ? text : String(value ?? "") }, text);
}

function row(run, visible, bests, color) {
  const hidden = state.hidden.has(run);
  const toggle = (event) => {
    if (event.altKey || event.metaKey) runs.forEach((other) => (other === run ? state.hidden.delete(other) : state.hidden.add(other)));
    else if (hidden) state.hidden.delete(run);
    else state.hidden.add(run);
    redraw();
  };
  const eye = h("td", { class: "eye" }, h("button", { class: "dot", color, onclick: toggle, "aria-pressed": !hidden, "aria-label": `show ${run.name}`, title: "Show or hide in the charts; with Alt only this one" }));
  return h("tr", { class: `${hidden ? "hidden" : ""}${state.lit === run ? " lit" : ""}`, "data-run": run.index }, eye, visible.map((column, at) => cell(column, run, bests[at])));
}

function columnMenu() {
  const box = h("div");
  let group;
  for (const column of columns) {
    if (column.group !== group) box.append(h("h3", {}, (group = column.group)));
    const input = h("input", { type: "checkbox", checked: column.show, onchange: () => { column.show = input.checked; drawTable(); } });
    box.append(h("label", {}, input, column.label));
  }
  return h("details", { class: "menu" }, h("summary", {}, "Columns"), box);
}

const tableHead = h("div", { class: "head" });
const tableBody = h("div");
document.getElementById("runs").append(tableHead, tableBody);

function drawTable() {
  const list = sorted(matching());
  if (!runs.length) return tableBody.replaceChildren(h("p", { class: "empty" }, "No run is on this page."));
  const visible = columns.filter((column) => column.show);
  const heads = visible.map((column) => h("th", {
    class: column.numeric ? "number" : "", title: column.id, onclick: () => sortBy(column),
    "aria-sort": state.sort === column ? (state.direction > 0 ? "ascending" : "descending") : "none",
  }, h("small", {}, column.group), column.label));
  const bests = visible.map(bestOf);
  const colors = coloring();
  const rows = (everyRow ? list : list.slice(0, ROWS)).map((run) => row(run, visible, bests, colors.color(run)));
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("th", { class: "eye" }), heads)), h("tbody", {}, rows));
  const rest = list.length - rows.length;
  const more = rest > 0 && h("button", { class: "more", onclick: () => { everyRow = true; drawTable(); } }, `Show ${rest} more`);
  tableBody.replaceChildren(...[list.length ? h("div", { class: "scroll" }, table) : h("p", { class: "empty" }, "No run matches."), more].filter(Boolean));
}

function startTable() {
  tableHead.append(h("h2", {}, "Runs"), ...(runs.length ? [columnMenu()] : []));
  runs.forEach((run) => { run.words = columns.map((column) => column.text ? column.text(column.get(run)) : String(column.get(run) ?? "")).join("\n").toLowerCase(); });
  redraws.push(drawTable);
}
