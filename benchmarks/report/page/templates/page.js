"use strict";
// Sorting, theme, choice of data set, and plots that are drawn when they come into sight.
const content = JSON.parse(document.getElementById("data").textContent);
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
document.documentElement.classList.add("js");

const each = (selector, action, root = document) => root.querySelectorAll(selector).forEach(action);
const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();

function whenSeen(element, action) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); action(); }
  }, { rootMargin: "300px" });
  observer.observe(element);
}

// --- tables: a click on a column's head sorts by its first number, or by its text where there is none
const numberIn = (text) => { const found = text.replaceAll(",", "").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i); return found ? Number(found[0]) : NaN; };

function sortBy(table, head) {
  const column = [...head.parentNode.children].indexOf(head);
  const rows = [...table.tBodies[0].rows];
  const cell = (row) => row.cells[column].textContent.trim();
  const numeric = rows.some((row) => /^[-+]?\d/.test(cell(row)));
  const rising = head.getAttribute("aria-sort") !== "ascending";
  each("th", (other) => other.removeAttribute("aria-sort"), table);
  head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  rows.sort((a, b) => {
    if (!numeric) return (rising ? 1 : -1) * cell(a).localeCompare(cell(b));
    const [x, y] = [numberIn(cell(a)), numberIn(cell(b))];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
    return rising ? x - y : y - x;
  });
  table.tBodies[0].append(...rows);
}

each("table:not(.gallery)", (table) => each("thead th", (head) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sortBy(table, head));
}, table));

// --- plots; plotly is read after the page has been laid out, since that takes a while
const plotly = new Promise((ready) => window.addEventListener("load", () => setTimeout(() => {
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.body.append(script);
  ready();
}, 50)));

function dress(plot) {
  const narrow = window.innerWidth < 640;
  plot.layout.font = { color: ink(), size: narrow ? 11 : 13 };
  if (narrow && !plot.tall) {
    plot.tall = true;
    plot.layout.height *= 1.15;
    for (const trace of plot.data) if (trace.type === "heatmap") delete trace.texttemplate; // too small to read
  }
  return plot;
}

each(".plot", (place) => whenSeen(place, async () => {
  await plotly;
  const choice = place.closest("article").querySelector(".choice");
  const draw = () => {
    const plot = dress(content.plots[place.dataset.plot][choice ? choice.value : ""]);
    return Plotly.react(place, plot.data, plot.layout, config);
  };
  await draw();
  place.classList.add("drawn");
  if (choice) choice.addEventListener("change", draw);
}));

// --- theme: the system's, or the other one
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const repaint = () => each(".js-plotly-plot", (place) => Plotly.relayout(place, { "font.color": ink() }));
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : darkSystem.matches;
  root.dataset.theme = dark ? "light" : "dark";
  repaint();
});
darkSystem.addEventListener("change", repaint);

// --- one data set at a time
const choice = document.getElementById("run");
function showRun() {
  each("article[data-run]", (article) => { article.hidden = choice.value && article.dataset.run && article.dataset.run !== choice.value; });
  window.dispatchEvent(new Event("resize"));
}
if (choice) { choice.addEventListener("change", showRun); showRun(); }
