// What does one more dense row cost, and what does it buy?
//
// Everything happens in the page, which needs neither a kernel nor a network. common.js stands before.
// The model holds m, n and rows, which change here and in Python, and what Python alone knows:
// matrices (of the benchmarks) and largest_size.
//
// Part 1 counts, as kplib.shapes does; part 2 finds words; part 3 draws; part 4 has the controls.

const QUESTION = "What does one more dense row cost, and what does it buy?";
const TARGETS = [10, 20]; // times fewer parameters than the dense matrix

// ---------------------------------------------------------------- 1. counting

/** For each r below m the costs of the hybrid with r dense rows; null where there are no factors. */
export function hybrids(m, n) {
  return Array.from({ length: m }, (_, r) => {
    const four = algorithm4(m - r, n);
    if (four === null) return null;
    const [m1, n1, m2, n2] = four;
    const dense = r * n;
    return {
      r, four,
      params: dense + m1 * n1 + m2 * n2,
      rank: Math.min(m, n, r + Math.min(m1, n1) * Math.min(m2, n2)),
      macs: dense + Math.min(n1 * m2 * (n2 + m1), m1 * n2 * (n1 + m2)),
    };
  });
}

const withFactors = (all) => all.filter((one) => one !== null);
const smallestOf = (all) =>
  withFactors(all).reduce((best, one) => (best === null || one.params < best.params ? one : best), null);

/** The largest hybrid that is at least `times` smaller than dense; null if none is. */
export function forCompression(all, size, times) {
  const fitting = withFactors(all).filter(({ params }) => params * times <= size);
  return fitting.reduce((best, one) => (best === null || one.params > best.params ? one : best), null);
}

/** The nearest r above (step 1) or below (-1) that leaves factors; null if there is none. */
export function nextRows(all, r, step) {
  for (let k = r + step; k >= 0 && k < all.length; k += step) if (all[k] !== null) return all[k];
  return null;
}

// ---------------------------------------------------------------- 2. words

const asProduct = (k) => (isComposite(k) ? `${k} = ${primeFactors(k).join(` ${DOT} `)}` : `${k}`);
const pair = ([m1, n1, m2, n2]) => `(${m1}, ${n1}) ${KRON} (${m2}, ${n2})`;
const times = (ratio) => (ratio >= 100 ? grouped(Math.round(ratio)) : ratio.toFixed(1));
const signed = (change) => (change === 0 ? "+0" : `${change > 0 ? "+" : MINUS}${grouped(Math.abs(change))}`);
const whyNot = (left) => (left === 1 ? "a single row" : "a prime");

/** What stands below the dense rows. */
export function below({ m, n, all }, r) {
  const left = m - r;
  const dense = r === 0 ? "No dense row" : plural(r, "dense row");
  if (all[r] !== null) return `${dense}; the other ${asProduct(left)} rows are ${pair(all[r].four)}.`;
  if (!isComposite(n)) return `n = ${n} is ${n === 1 ? "1" : "a prime"}: dense rows do not change n, so no r leaves factors.`;
  const near = [nextRows(all, r, -1), nextRows(all, r, 1)].filter((one) => one !== null).map((one) => `r = ${one.r}`);
  return `${dense} would leave ${left}, ${whyNot(left)}: Algorithm 4 has no factors. ${near.length > 0 ? `The nearest that work: ${near.join(" and ")}.` : "No r works."}`;
}

/** What the next step of the dial costs and buys. */
export function nextStep({ m, all }, r) {
  const now = all[r];
  const next = nextRows(all, r, 1);
  if (now === null) return "";
  if (next === null) return `No larger r leaves factors.`;
  const skipped = next.r - r - 1;
  const step = skipped === 0 ? "One more row" : `The next that works, r = ${next.r}`;
  const change = (key, word) => `${signed(next[key] - now[key])} ${word}`;
  return (
    `${step} leaves ${asProduct(m - next.r)}: ${change("params", "parameters")}, ` +
    `${change("rank", "in the rank bound")}, ${change("macs", "multiplications")}.`
  );
}

// ---------------------------------------------------------------- 3. drawings

const PANELS = [["params", "Parameters", 190, true], ["rank", "Rank, at most", 120, false], ["macs", "Multiplications", 120, false]];
const MARGIN = { left: 46, right: 12, top: 26, bottom: 8 };
const FOOT = 36;

const short = (value) => {
  for (const [size, letter] of [[1e6, "M"], [1e3, "k"]]) if (value >= size) return `${value / size}${letter}`;
  return String(value);
};

function linearTicks(high, most) {
  const raw = high / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw && (one % 1 === 0 || one < 1)));
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, k) => k * step);
}

function logTicks(low, high) {
  const all = (steps) =>
    Array.from({ length: 8 }, (_, power) => steps.map((step) => step * 10 ** power)).flat()
      .filter((tick) => tick >= low && tick <= high);
  return [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]].map(all).find((ticks) => ticks.length >= 3) ?? all([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]);
}

const diamonds = (points, size) =>
  points.map(([x, y]) => `M${(x - size).toFixed(1)} ${y.toFixed(1)}l${size} ${-size}l${size} ${size}l${-size} ${size}z`).join("");

/** The three plots, one above the other over the same r. */
function plotPanel(id, onChoose) {
  const svg = draw("svg", { role: "img", "aria-labelledby": `${id}-plot` });
  const box = make("div", { class: "kpw-plot" }, svg);
  let state = null;
  let toX = null;

  const panel = ([key, name, height, log], top, { all, m, n, last, rows }, width) => {
    const [from, to] = [top + MARGIN.top, top + height - MARGIN.bottom];
    const shown = all.slice(0, last + 1).filter((one) => one !== null);
    const values = shown.map((one) => one[key]);
    const [low, high] = log ? [Math.min(...values) * 0.8, Math.max(...values) * 1.3] : [0, Math.max(...values) * 1.08];
    const share = (value) => (log ? Math.log(value / low) / Math.log(high / low) : value / high);
    const toY = (value) => to - share(value) * (to - from);
    const right = width - MARGIN.right;
    const node = draw("g", { "data-panel": key, "data-low": low, "data-high": high });
    for (const tick of log ? logTicks(low, high) : linearTicks(high, 4)) {
      const y = toY(tick);
      node.append(
        draw("path", { class: "kpw-gridline", d: `M${MARGIN.left} ${y}H${right}` }),
        draw("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, short(tick)),
      );
    }
    const gaps = all.slice(0, last + 1).flatMap((one, r) => (one === null ? [`M${toX(r)} ${to}v-7`] : []));
    const points = shown.map((one) => [toX(one.r), toY(one[key])]);
    node.append(
      draw("text", { class: "kpw-axis-name", x: 2, y: top + 15 }, name),
      draw("path", { class: "kpw-axis", d: `M${MARGIN.left} ${from}V${to}H${right}` }),
      draw("path", { class: "kpw-gaps", d: gaps.join("") }),
    );
    if (key === "params") {
      for (const target of TARGETS) {
        const size = (m * n) / target;
        if (size <= low || size >= high) continue;
        const y = toY(size);
        node.append(
          draw("path", { class: "kpw-target", d: `M${MARGIN.left} ${y}H${right}` }),
          draw("text", { class: "kpw-halo", x: right - 2, y: y + 14, "text-anchor": "end" }, `${target}${TIMES} smaller`),
        );
      }
    }
    const size = Math.max(2, Math.min(5, (width - 60) / (last + 1) / 2.2));
    node.append(
      draw("path", { class: "kpw-thread", d: points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") }),
      draw("path", { class: "kpw-points", d: diamonds(points, size) }),
      draw("path", { class: "kpw-chosen", d: `M${toX(rows)} ${from}V${to}` }),
    );
    if (all[rows] !== null) node.append(draw("circle", { class: "kpw-ring", cx: toX(rows), cy: toY(all[rows][key]), r: 8 }));
    return node;
  };

  const redraw = () => {
    if (state === null) return;
    const width = Math.max(220, box.clientWidth);
    const heights = PANELS.reduce((sum, [, , height]) => sum + height, 0);
    const { last } = state;
    const [from, to] = [MARGIN.left + 10, width - MARGIN.right - 8];
    toX = (r) => from + (last === 0 ? 0 : (r / last) * (to - from));
    svg.setAttribute("viewBox", `0 0 ${width} ${heights + FOOT}`);
    svg.style.height = `${heights + FOOT}px`;
    const title = draw("title", { id: `${id}-plot` }, describe(state));
    if (withFactors(state.all.slice(0, last + 1)).length === 0) {
      svg.replaceChildren(title, draw("text", { x: width / 2, y: heights / 2, "text-anchor": "middle" }, "No r leaves factors."));
      return;
    }
    let top = 0;
    const panels = PANELS.map((one) => {
      const node = panel(one, top, state, width);
      top += one[2];
      return node;
    });
    const ticks = linearTicks(last || 1, Math.min(10, width / 60)).filter((tick) => Number.isInteger(tick) && tick <= last).map((tick) =>
      draw("text", { x: toX(tick), y: heights + 10, "text-anchor": "middle" }, grouped(tick)));
    svg.replaceChildren(title, ...panels, ...ticks,
      draw("text", { class: "kpw-axis-name", x: width - MARGIN.right, y: heights + 29, "text-anchor": "end" }, "Dense rows r"));
  };
  svg.addEventListener("click", (event) => {
    if (state === null || toX === null) return;
    const x = event.clientX - svg.getBoundingClientRect().left;
    const shown = withFactors(state.all.slice(0, state.last + 1));
    if (shown.length === 0) return;
    const near = shown.reduce((a, b) => (Math.abs(toX(b.r) - x) < Math.abs(toX(a.r) - x) ? b : a));
    onChoose(near.r);
  });
  return { node: box, redraw, show: (next) => { state = next; redraw(); } };
}

function describe({ m, n, all, last }) {
  const shown = withFactors(all.slice(0, last + 1));
  if (shown.length === 0) return `No number of dense rows leaves factors of a ${m} by ${n} matrix.`;
  const range = (key) => {
    const values = shown.map((one) => one[key]);
    return `${grouped(Math.min(...values))} to ${grouped(Math.max(...values))}`;
  };
  return (
    `Three plots against the dense rows r from 0 to ${last} of a ${m} by ${n} hybrid: ` +
    `parameters ${range("params")}, rank bound ${range("rank")}, multiplications ${range("macs")}; ` +
    `${plural(last + 1 - shown.length, "gap")}. The slider and the numbers below have each r.`
  );
}

// ---------------------------------------------------------------- 4. controls, numbers, the whole

const integer = (text) => (/^\s*\d{1,9}\s*$/.test(text) ? Number(text) : null);

function sizeField(id, label, largest, onChange) {
  const input = make("input", { type: "number", inputmode: "numeric", step: 1, min: 1, max: largest, id, title: `A whole number from 1 to ${grouped(largest)}` });
  let current = 1;
  const set = (value) => {
    current = value;
    input.value = value;
    input.setAttribute("aria-invalid", "false");
  };
  const entered = () => {
    const value = integer(input.value);
    return value !== null && value >= 1 && value <= largest ? value : null;
  };
  input.addEventListener("input", () => input.setAttribute("aria-invalid", String(entered() === null)));
  input.addEventListener("change", () => {
    const value = entered();
    if (value === null || value === current) set(current); // what is refused gives way
    else onChange(value);
  });
  return { label: make("label", { for: id }, label), input, set };
}

/** The matrix: a benchmark's gate, or sizes of the reader's own. */
function matrixControls(id, model, set) {
  const matrices = model.get("matrices");
  const largest = model.get("largest_size");
  const select = make("select", { id: `${id}-matrix` }, make("option", { value: "", disabled: "" }, "another one"),
    ...matrices.map(([name, m, n], k) => make("option", { value: k }, `${name}, ${m} ${TIMES} ${n}`)));
  select.addEventListener("change", () => {
    const [, m, n] = matrices[Number(select.value)];
    set({ m, n, rows: 0 });
  });
  const m = sizeField(`${id}-m`, "m", largest, (value) => set({ m: value, ...(model.get("rows") >= value && { rows: 0 }) }));
  const n = sizeField(`${id}-n`, "n", largest, (value) => set({ n: value }));
  const node = make("div", { class: "kpw-controls kpw-sizes", role: "group", "aria-label": "The matrix" },
    make("div", { class: "kpw-field" }, make("label", { for: select.id }, "One gate of"), select),
    make("div", { class: "kpw-field" }, make("span", { class: "kpw-labels" }, m.label, ` ${TIMES} `, n.label),
      make("span", { class: "kpw-inputs" }, m.input, TIMES, n.input)),
  );
  const show = (state) => {
    const known = matrices.findIndex(([, rows, columns]) => rows === state.m && columns === state.n);
    select.value = known < 0 ? "" : String(known);
    m.set(state.m);
    n.set(state.n);
  };
  return { node, show };
}

/** The dial itself: a slider over the r that are shown, and where to go from here. */
function dialControls(id, set, onRange) {
  const slider = make("input", { type: "range", min: 0, step: 1, id: `${id}-rows` });
  slider.addEventListener("input", () => set({ rows: Number(slider.value) }));
  const shown = make("output", { for: slider.id, "data-role": "rows" });
  const range = radios(`${id}-range`, "Show r", [["few", "few"], ["all", "all"]], onRange);
  const [few, all] = range.node.querySelectorAll("span");
  const button = (key) => {
    const node = make("button", { type: "button", "data-go": key });
    node.addEventListener("click", () => {
      if (node.getAttribute("aria-disabled") !== "true") set({ rows: Number(node.value) });
    });
    return node;
  };
  const buttons = Object.fromEntries(["smallest", "highest", ...TARGETS].map((key) => [key, button(key)]));
  const node = make("div", { class: "kpw-controls" },
    make("div", { class: "kpw-slide" }, make("label", { for: slider.id }, "Dense rows r = ", shown), slider),
    make("div", { class: "kpw-go" },
      make("div", { class: "kpw-picks", role: "group", "aria-label": "Go to" }, ...Object.values(buttons)),
      range.node));
  const show = (state) => {
    const { m, n, all: costs, rows, last, every } = state;
    slider.max = Math.max(last, 1);
    slider.value = rows;
    slider.disabled = m === 1;
    slider.setAttribute("aria-valuetext", `r = ${rows}, ${costs[rows] === null ? "no factors" : `${grouped(costs[rows].params)} parameters`}`);
    shown.textContent = rows;
    range.set(every ? "all" : "few");
    few.textContent = `to ${state.few}`;
    all.textContent = `all, to ${m - 1}`;
    const shownCosts = withFactors(costs.slice(0, state.few + 1));
    const highest = shownCosts.reduce((best, one) => (best === null || one.rank > best.rank ? one : best), null);
    const goals = { smallest: smallestOf(costs), highest };
    const words = { smallest: "fewest parameters", highest: `highest rank, r ≤ ${state.few}` };
    for (const target of TARGETS) {
      goals[target] = forCompression(costs, m * n, target);
      words[target] = `${target}${TIMES} smaller`;
    }
    for (const [key, node] of Object.entries(buttons)) {
      const goal = goals[key];
      node.value = goal === null ? "" : goal.r;
      node.textContent = `${words[key]}: ${goal === null ? "none" : `r = ${goal.r}`}`;
      node.setAttribute("aria-disabled", goal === null);
      node.setAttribute("aria-pressed", goal !== null && goal.r === rows);
    }
  };
  return { node, show };
}

/** The numbers of the chosen r. */
function readout() {
  const entries = [["params", "Parameters"], ["rank", "Rank, at most"], ["macs", "Multiplications"]].map(([key, label]) => {
    const value = make("b", { "data-role": key });
    const remark = make("span", { class: "kpw-muted", "data-role": `${key}-of` });
    return { key, value, remark, node: make("div", {}, make("dt", {}, label), make("dd", {}, value, " ", remark)) };
  });
  const belowWords = make("p", { "data-role": "below", role: "status" });
  const stepWords = make("p", { "data-role": "next" });
  const belowRoom = make("div", { class: "kpw-room" });
  const stepRoom = make("div", { class: "kpw-room" });
  const node = make("div", { class: "kpw-panel kpw-readout" }, belowRoom, make("dl", {}, ...entries.map((one) => one.node)), stepRoom);
  const longest = (texts) => [...texts].sort((a, b) => b.length - a.length).slice(0, 3);
  const rebuild = (state) => {
    reserve(belowRoom, belowWords, longest(state.all.map((_, r) => below(state, r))));
    reserve(stepRoom, stepWords, longest(state.all.map((_, r) => nextStep(state, r))));
  };
  const show = (state) => {
    const now = state.all[state.rows];
    const dense = { params: state.m * state.n, rank: Math.min(state.m, state.n), macs: state.m * state.n };
    belowWords.textContent = below(state, state.rows);
    stepWords.textContent = nextStep(state, state.rows);
    for (const { key, value, remark } of entries) {
      value.textContent = now === null ? "\u2013" : grouped(now[key]);
      remark.textContent = `of ${grouped(dense[key])}`;
      if (now !== null && key !== "rank") remark.textContent += `, ${times(dense[key] / now[key])}${TIMES} fewer`;
    }
  };
  return { node, rebuild, show };
}

function render({ model, el }) {
  const id = uniqueId("dial");
  let every = false; // whether all r are shown
  let built = "";
  let all = [];

  const set = (changes) => setAll(model, changes);
  const matrix = matrixControls(id, model, set);
  const dial = dialControls(id, set, (value) => {
    every = value === "all";
    const last = lastOf(model.get("m"));
    if (!every && model.get("rows") > last) set({ rows: last });
    update();
  });
  const plot = plotPanel(id, (rows) => set({ rows }));
  const numbers = readout();
  const root = make("figure", { class: "kpw kpw-dial", tabindex: "-1", "aria-labelledby": `${id}-caption` },
    make("figcaption", { class: "kpw-question", id: `${id}-caption` }, QUESTION),
    matrix.node,
    dial.node,
    make("div", { class: "kpw-stage" }, plot.node, numbers.node),
    make("p", { class: "kpw-muted kpw-keys" },
      `Arrow keys turn the slider; a click in a plot goes to the nearest r. Short strokes at the foot: m ${MINUS} r has no factors. ` +
      `Counted is one gate matrix, without biases and head.`),
  );

  /** A quarter of all rows, where compression is four and more. */
  const lastOf = (m) => Math.min(m - 1, Math.max(7, Math.floor(m / 4)));
  const update = () => {
    const [m, n] = [model.get("m"), model.get("n")];
    const rows = Math.min(model.get("rows"), m - 1);
    const key = `${m} ${n}`;
    const isNew = key !== built;
    if (isNew) [all, built] = [hybrids(m, n), key];
    const few = lastOf(m);
    const wide = every || rows > few;
    const state = { m, n, all, rows, few, every: wide, last: wide ? m - 1 : few };
    if (isNew) numbers.rebuild(state);
    matrix.show(state);
    dial.show(state);
    numbers.show(state);
    plot.show(state);
  };
  // Several traits that change at once are drawn once.
  let waiting = false;
  const onChange = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      update();
    });
  };
  const TRAITS = ["m", "n", "rows"];
  TRAITS.forEach((name) => model.on(`change:${name}`, onChange));
  keepKeys(root);
  el.append(root);
  update();
  const observer = new ResizeObserver(() => plot.redraw());
  observer.observe(plot.node);
  return () => {
    observer.disconnect();
    TRAITS.forEach((name) => model.off(`change:${name}`, onChange));
  };
}

export default { render };
