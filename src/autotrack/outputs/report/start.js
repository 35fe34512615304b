// The head and foot of the page; then everything is drawn once, and again when the window changes its width.
runs.forEach((run, index) => {
  run.index = index;
  for (const name of Object.keys(run.context)) run.context[name] = data.shared[run.context[name]];
});

function startHead() {
  const statuses = new Map();
  for (const run of runs) statuses.set(run.status, (statuses.get(run.status) ?? 0) + 1);
  const total = runs.reduce((sum, run) => sum + (run.duration ?? 0), 0);
  const experiments = new Set(runs.map((run) => run.experiment)).size;
  const part = (count, text) => h("span", {}, h("b", {}, String(count)), ` ${text}`);
  const parts = [part(runs.length, runs.length === 1 ? "run" : "runs"), part(experiments, experiments === 1 ? "experiment" : "experiments")];
  for (const [status, count] of statuses) if (statuses.size > 1 || status !== "finished") parts.push(h("span", { class: `status ${status}` }, `${count} ${status}`));
  if (total) parts.push(h("span", {}, h("b", {}, duration(total)), " in all"));
  parts.push(h("span", {}, `made ${moment(data.made)}`));
  document.getElementById("summary").append(...parts);
  document.getElementById("notes").append(...data.notes.map((note) => h("p", {}, note)));
}

function startTheme() {
  const themes = ["", "light", "dark"], signs = ["◐", "☀", "☾"];
  let at = 0;
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    at = (at + 1) % themes.length;
    document.documentElement.dataset.theme = themes[at];
    button.textContent = signs[at];
  });
}

if (runs.length > PALETTE.length) state.colorBy = data.columns.color;
startHead();
startTheme();
startTable();
startCurves();
startTrade();
startPair();
redraw();
document.getElementById("filter").addEventListener("input", readFilter);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });
document.documentElement.dataset.ready = String(runs.length);
