// How can y = (A (x) B) x be had without A (x) B, and what does it cost?
//
// Everything happens in the page, which needs neither a kernel nor a network. common.js stands before.
// The model holds A, B, x (numbers), `order` ("row-major" or "column-major"), `first` ("A" or
// "B": the factor that is multiplied first) and `step`; the last three change here and in Python.
//
// Part 1 is the arithmetic, part 2 turns it into steps, part 3 draws a step.

const QUESTION = `How can y = (A ${KRON} B) x be had without A ${KRON} B, and what does it cost?`;

// ---------------------------------------------------------------- 1. arithmetic

export const transpose = (M) => M[0].map((_, j) => M.map((row) => row[j]));

export const multiply = (L, R) =>
  L.map((row) => R[0].map((_, j) => row.reduce((sum, v, k) => sum + v * R[k][j], 0)));

export const kron = (A, B) =>
  A.flatMap((rowA) => B.map((rowB) => rowA.flatMap((a) => rowB.map((b) => a * b))));

const grid = (values, cols) =>
  Array.from({ length: values.length / cols }, (_, i) => values.slice(i * cols, (i + 1) * cols));

/** Multiplications of W x and of the two small products, for either factor first. */
export function costs(A, B) {
  const [m1, n1, m2, n2] = [A.length, A[0].length, B.length, B[0].length];
  return {
    whole: m1 * m2 * n1 * n2,
    B: [n1 * n2 * m2, m1 * n1 * m2],
    A: [m1 * n1 * n2, m1 * n2 * m2],
  };
}

// ---------------------------------------------------------------- 2. steps

/**
 * The two small products, as a list of {left, right, out} with {name, rows} each.
 * Column-major order stores every grid as its transpose, so each product is mirrored:
 * (L R)^T = R^T L^T, and `mirrored` says that entries are visited column by column.
 */
export function products(A, B, x, first, order) {
  const X = { name: "X", rows: grid(x, B[0].length) };
  const a = { name: "A", rows: A };
  const bT = { name: "B\u1d40", rows: transpose(B) };
  const line = (left, right, name) => ({
    left,
    right,
    out: { name, rows: multiply(left.rows, right.rows) },
  });
  const one = first === "B" ? line(X, bT, "T") : line(a, X, "T");
  const two = first === "B" ? line(a, one.out, "Y") : line(one.out, bT, "Y");
  return order === "row-major" ? [one, two] : [one, two].map(mirror);
}

function mirror({ left, right, out }) {
  const names = { A: "A\u1d40", "B\u1d40": "B" };
  const flip = ({ name, rows }) => ({ name: names[name] ?? name, rows: transpose(rows) });
  return { left: flip(right), right: flip(left), out: flip(out), mirrored: true };
}

/** Every step: what is computed in it and how many multiplications both ways have done. */
export function makeSteps(A, B, x, first, order) {
  const cost = costs(A, B);
  const n = x.length;
  const steps = [{ kind: "start", small: 0, whole: 0 }];
  let small = 0;
  products(A, B, x, first, order).forEach((line, which) => {
    const [rows, cols] = [line.out.rows.length, line.out.rows[0].length];
    for (let k = 0; k < rows * cols; k++) {
      const [i, j] = line.mirrored
        ? [k % rows, Math.floor(k / rows)]
        : [Math.floor(k / cols), k % cols];
      small += line.right.rows.length;
      steps.push({ kind: "entry", which, i, j, small, whole: Math.min(small, cost.whole) });
    }
  });
  let whole = Math.min(small, cost.whole);
  steps.push({ kind: "read", small, whole });
  while (whole < cost.whole) {
    whole = Math.min(cost.whole, (Math.floor(whole / n) + 1) * n);
    steps.push({ kind: "catch-up", small, whole });
  }
  return steps;
}

// ---------------------------------------------------------------- words

const show = (v) => {
  const text = Number.isInteger(v) && Math.abs(v) < 1e6 ? String(v) : String(+v.toPrecision(4));
  return text.replaceAll("-", MINUS);
};
const factor = (v) => (v < 0 ? `(${show(v)})` : show(v));
const sum = (left, right) => left.map((v, k) => `${factor(v)}${DOT}${factor(right[k])}`).join(" + ");
const sizeOf = (rows) => `${rows.length}${TIMES}${rows[0].length}`;

function describe(state, step) {
  const { lines, cost, order, y } = state;
  const how = order === "row-major" ? "row by row" : "column by column";
  const total = cost[state.first][0] + cost[state.first][1];
  if (step.kind === "start") {
    return `X is x, written ${how}. Nothing has been multiplied yet.`;
  }
  if (step.kind === "entry") {
    const { left, right, out } = lines[step.which];
    const column = right.rows.map((row) => row[step.j]);
    return (
      `${out.name}[${step.i},${step.j}] = row ${step.i} of ${left.name} ${DOT} column ${step.j} of ` +
      `${right.name} = ${sum(left.rows[step.i], column)} = ${show(out.rows[step.i][step.j])}`
    );
  }
  if (step.kind === "read") {
    const result = `Y, read ${how}, is y = (${y.map(show).join(", ")}) after ${total} multiplications.`;
    const [done, rows] = [Math.floor(step.whole / state.x.length), state.m];
    return step.whole < cost.whole
      ? `${result} W x, with as many, has ${done} of ${rows} rows.`
      : `${result} ${verdict(cost.whole, total)}`;
  }
  return step.whole < cost.whole
    ? `y is there; W x still works: ${Math.floor(step.whole / state.x.length)} of ${state.m} rows.`
    : `Both ways give the same y. ${verdict(cost.whole, total)}`;
}

function verdict(whole, small) {
  const counts = `W x took ${whole} multiplications, the two small products ${small}`;
  return whole > small ? `${counts}.` : `${counts}: at these sizes nothing is gained.`;
}

function describeWhole(state, step) {
  const n = state.x.length;
  if (step.whole === 0) return `Each row of W needs ${plural(n, "multiplication")}.`;
  const row = Math.ceil(step.whole / n) - 1;
  const done = step.whole - row * n;
  const terms = sum(state.W[row].slice(0, done), state.x);
  return `y[${row}] = ${terms}${done < n ? " + \u2026" : ` = ${show(state.y[row])}`}`;
}

// ---------------------------------------------------------------- 3. drawing

const ICONS = {
  restart: "M5 4h2v12H5zM17 4v12L8 10z",
  previous: "M14 4v12L5 10z",
  play: "M6 3.5v13l11-6.5z",
  pause: "M5 4h3.5v12H5zM11.5 4H15v12h-3.5z",
  next: "M6 4v12l9-6z",
};

const icon = (name) =>
  draw("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));

/** One matrix: a name, its size, a grid of cells; `cells[i][j]` are the nodes. */
class Matrix {
  constructor(name, rows, { index = null, size = sizeOf(rows), pending = false } = {}) {
    this.name = name;
    this.rows = rows;
    const longest = Math.max(...rows.flat().map((v) => show(v).length));
    this.cells = rows.map((row, i) =>
      row.map((_, j) => {
        const cell = make("span", { class: "kpw-cell" }, make("span", { class: "kpw-value" }));
        if (index) cell.append(make("span", { class: "kpw-index" }, String(index(i, j))));
        return cell;
      }),
    );
    this.body = make("span", { class: "kpw-grid", role: "img" }, ...this.cells.flat());
    this.body.style.setProperty("--cols", rows[0].length);
    this.body.style.setProperty("--chars", longest);
    const label = make("span", { class: "kpw-name", "aria-hidden": "true" }, name);
    if (size) label.append(make("small", {}, ` ${size}`));
    this.node = make("span", { class: "kpw-matrix" }, label, this.body);
    this.node.dataset.matrix = name;
    this.fill(() => !pending);
  }

  /** Show the entries for which `known(i, j)`; the others stay empty. */
  fill(known) {
    const words = this.rows.map((row, i) =>
      row.map((value, j) => {
        const there = known(i, j);
        this.cells[i][j].classList.toggle("kpw-pending", !there);
        this.cells[i][j].firstChild.textContent = there ? show(value) : "";
        return there ? show(value) : "empty";
      }),
    );
    const text = words.map((row) => row.join(" ")).join("; ");
    this.body.setAttribute("aria-label", `${this.name}, ${sizeOf(this.rows)}: ${text}`);
  }

  mark(name, test) {
    this.cells.forEach((row, i) =>
      row.forEach((cell, j) => cell.classList.toggle(name, test(i, j))),
    );
  }
}

/** W as blocks A[i,j] B, drawn as one grid of grids. */
function blockMatrix(A, B, W) {
  const matrix = new Matrix("W", W);
  const [m2, n2] = [B.length, B[0].length];
  const blocks = A.flatMap((row, i) =>
    row.map((a, j) => {
      const inner = make("span", { class: "kpw-grid" });
      inner.style.setProperty("--cols", n2);
      for (let p = 0; p < m2; p++) inner.append(...matrix.cells[i * m2 + p].slice(j * n2, (j + 1) * n2));
      return make("span", { class: "kpw-block" }, make("small", {}, `${factor(a)}${DOT}B`), inner);
    }),
  );
  matrix.body.className = "kpw-blocks";
  matrix.body.style.setProperty("--blocks", A[0].length);
  matrix.body.replaceChildren(...blocks);
  return matrix;
}

/** y beside W: the same vertical rhythm as the blocks. */
function blockColumn(y, m1, m2) {
  const matrix = new Matrix("y", y.map((v) => [v]), { size: "", pending: true });
  const blocks = Array.from({ length: m1 }, (_, i) => {
    const inner = make("span", { class: "kpw-grid" });
    inner.style.setProperty("--cols", 1);
    for (let p = 0; p < m2; p++) inner.append(matrix.cells[i * m2 + p][0]);
    return make("span", { class: "kpw-block kpw-bare" }, make("small", {}, "\u00a0"), inner);
  });
  matrix.body.className = "kpw-blocks";
  matrix.body.style.setProperty("--blocks", 1);
  matrix.body.replaceChildren(...blocks);
  return matrix;
}

const sign = (text) => make("span", { class: "kpw-sign", "aria-hidden": "true" }, text);

function scroller(label, ...children) {
  return make("div", { class: "kpw-scroll", role: "group", "aria-label": label }, ...children);
}

/** The left panel: W x, a row at a time. */
function wholePanel(state) {
  const W = blockMatrix(state.A, state.B, state.W);
  const x = new Matrix("x", state.x.map((v) => [v]), { size: "" });
  const y = blockColumn(state.y, state.A.length, state.B.length);
  const words = make("p", { class: "kpw-words", "data-role": "whole-words" });
  const room = make("div", { class: "kpw-room" });
  reserve(room, words, state.steps.map((step) => describeWhole(state, step)));
  const node = make(
    "div",
    { class: "kpw-panel kpw-whole", role: "group", "aria-label": "The whole matrix" },
    make("p", { class: "kpw-title" }, `The whole matrix: W = A ${KRON} B, then y = W x`),
    scroller("W times x", W.node, sign(DOT), x.node, sign("="), y.node),
    room,
  );
  const n = state.x.length;
  const update = (step, before) => {
    const used = (i, j) => i * n + j < step.whole;
    const now = (i, j) => used(i, j) && i * n + j >= before.whole;
    const row = Math.ceil(step.whole / n) - 1;
    W.mark("kpw-used", used);
    W.mark("kpw-now", now);
    W.mark("kpw-row", (i) => step.whole > before.whole && i === row);
    x.mark("kpw-now", (j) => state.W.some((_, i) => now(i, j)));
    y.fill((i) => (i + 1) * n <= step.whole);
    y.mark("kpw-now", (i) => (i + 1) * n <= step.whole && (i + 1) * n > before.whole);
    words.textContent = describeWhole(state, step);
  };
  return { node, update };
}

/** The right panel: two products of small matrices, then y. */
function smallPanel(state) {
  const rowMajor = state.order === "row-major";
  const stored = (rows) => (i, j) => (rowMajor ? i * rows[0].length + j : j * rows.length + i);
  const lines = state.lines.map((line) => {
    const build = ({ name, rows }, pending) =>
      new Matrix(name, rows, { pending, index: "XY".includes(name) ? stored(rows) : null });
    const [left, right, out] = [
      build(line.left, line.left.name === "T"),
      build(line.right, line.right.name === "T"),
      build(line.out, true),
    ];
    const node = scroller(
      `${left.name} times ${right.name} is ${out.name}`,
      left.node, sign(DOT), right.node, sign("="), out.node,
    );
    return { left, right, out, node, line };
  });
  const y = new Matrix("y", [state.y], { size: "", pending: true });
  y.node.classList.add("kpw-inline");
  const how = rowMajor ? "row by row" : "column by column";
  const formula = rowMajor ? "Y = A X B\u1d40" : "Y = B X A\u1d40";
  const node = make(
    "div",
    { class: "kpw-panel kpw-small", role: "group", "aria-label": "Two small products" },
    make("p", { class: "kpw-title" }, `Two small products: ${formula}`),
    ...lines.map((l) => l.node),
    scroller(`y is Y, read ${how}`, y.node),
    make(
      "p",
      { class: "kpw-words" },
      `The small digits are the places in x and y: X and Y are filled ${how}. ` +
        "The other memory order has the transposes of X, T and Y, and the same y.",
    ),
  );

  const update = (step, number) => {
    const reached = new Map(); // "which,i,j" of every entry that is there
    state.steps.slice(0, number + 1).forEach((s) => {
      if (s.kind === "entry") reached.set(`${s.which},${s.i},${s.j}`, true);
    });
    lines.forEach(({ left, right, out }, which) => {
      const here = step.kind === "entry" && step.which === which;
      const known = (i, j) => reached.has(`${which},${i},${j}`);
      out.fill(known);
      out.mark("kpw-used", known);
      out.mark("kpw-now", (i, j) => here && i === step.i && j === step.j);
      left.mark("kpw-now", (i) => here && i === step.i);
      right.mark("kpw-now", (_, j) => here && j === step.j);
      for (const operand of [left, right]) {
        if (operand.name !== "T") continue;
        operand.fill((i, j) => reached.has(`0,${i},${j}`));
        operand.mark("kpw-used", (i, j) => reached.has(`0,${i},${j}`));
      }
    });
    const read = step.kind === "read" || step.kind === "catch-up";
    y.fill(() => read);
    y.mark("kpw-used", () => read);
    y.mark("kpw-now", () => step.kind === "read");
    lines[1].out.mark("kpw-read", () => step.kind === "read");
  };
  return { node, update };
}

/** Two bars on one scale: multiplications done, of those needed. */
function countPanel(state) {
  const total = { whole: state.cost.whole, small: state.cost[state.first][0] + state.cost[state.first][1] };
  const scale = Math.max(total.whole, total.small);
  const [first, second] = state.cost[state.first];
  const stored = {
    whole: `W stores ${plural(total.whole, "number")}`,
    small: `A and B store ${state.A.flat().length} + ${state.B.flat().length}`,
  };
  const names = { whole: "W x", small: "two small products" };
  const sums = { whole: `${state.m} ${TIMES} ${state.x.length} =`, small: `${first} + ${second} =` };
  const rows = ["whole", "small"].map((key) => {
    const bar = make("span", { class: "kpw-bar" });
    const track = make("span", { class: "kpw-track", "aria-hidden": "true" }, bar);
    track.style.setProperty("--part", total[key] / scale);
    const count = make("b", { "data-role": `${key}-count` });
    count.style.minWidth = `${String(total[key]).length}ch`;
    const text = make("span", { class: "kpw-sum" }, count, ` of ${sums[key]} `, make("b", { "data-role": `${key}-total` }, String(total[key])));
    const note = make("span", { class: "kpw-muted" }, stored[key]);
    const node = make(
      "div",
      { class: `kpw-count kpw-${key}` },
      make("span", { class: "kpw-count-name" }, names[key]), track, text, note,
    );
    return { key, bar, count, node };
  });
  const node = make(
    "div",
    { class: "kpw-counts", role: "group", "aria-label": "Multiplications so far" },
    make("p", { class: "kpw-title" }, "Multiplications so far"),
    ...rows.map((r) => r.node),
  );
  const update = (step) => {
    for (const { key, bar, count } of rows) {
      count.textContent = String(step[key]);
      bar.style.setProperty("--done", step[key] / total[key]);
    }
  };
  return { node, update };
}

function button(name, label, onClick) {
  const node = make("button", { type: "button", "aria-label": label, title: label }, icon(name));
  node.dataset.action = name;
  node.addEventListener("click", onClick);
  return node;
}

/** The state that one choice of order and first factor needs. */
function derive(model) {
  const [A, B, x] = [model.get("A"), model.get("B"), model.get("x")];
  const [first, order] = [model.get("first"), model.get("order")];
  const W = kron(A, B);
  return {
    A, B, x, W, first, order,
    m: W.length,
    y: multiply(W, x.map((v) => [v])).map((row) => row[0]),
    cost: costs(A, B),
    lines: products(A, B, x, first, order),
    steps: makeSteps(A, B, x, first, order),
  };
}

function render({ model, el }) {
  const id = uniqueId("product");
  const set = (changes) => setAll(model, changes);

  let state;
  let panels;
  let timer = null;
  let speed = 1;
  const last = () => state.steps.length - 1;
  const current = () => Math.max(0, Math.min(last(), model.get("step")));
  const goTo = (step) => set({ step: Math.max(0, Math.min(last(), step)) });

  const stop = () => {
    clearTimeout(timer);
    timer = null;
    showPlaying();
  };
  const tick = () => {
    timer = setTimeout(() => {
      goTo(current() + 1);
      if (current() < last()) tick();
      else stop();
    }, 1200 / speed);
  };
  const togglePlay = () => {
    if (timer !== null) return stop();
    if (current() === last()) goTo(0);
    tick();
    return showPlaying();
  };
  const byHand = (step) => {
    stop();
    goTo(step);
  };

  // controls
  const play = button("play", "Play", togglePlay);
  const showPlaying = () => {
    const name = timer === null ? "play" : "pause";
    const label = timer === null ? "Play" : "Pause";
    play.replaceChildren(icon(name));
    play.setAttribute("aria-label", label);
    play.title = label;
    // A step a second is too much to listen to: the text is announced when the reader steps.
    words.setAttribute("aria-live", timer === null ? "polite" : "off");
  };
  const previous = button("previous", "Previous step", () => byHand(current() - 1));
  const next = button("next", "Next step", () => byHand(current() + 1));
  const restart = button("restart", "Restart", () => byHand(0));
  const slider = make("input", { type: "range", min: 0, step: 1, "aria-label": "Step" });
  slider.addEventListener("input", () => byHand(Number(slider.value)));
  const position = make("span", { class: "kpw-position", "data-role": "position" });
  const pace = make(
    "select",
    { "aria-label": "Speed" },
    ...[0.5, 1, 2, 4].map((v) => make("option", { value: v, ...(v === 1 && { selected: "" }) }, `${v}${TIMES}`)),
  );
  pace.addEventListener("change", () => (speed = Number(pace.value)));
  const words = make("p", { class: "kpw-step", "aria-live": "polite", "data-role": "words" });
  const room = make("div", { class: "kpw-room" });

  const order = radios(
    `${id}-order`,
    "Memory order",
    [
      ["row-major", "row-major: Y = A X B\u1d40 (NumPy)"],
      ["column-major", "column-major: Y = B X A\u1d40 (the papers)"],
    ],
    (value) => set({ order: value }),
  );
  const cost = costs(model.get("A"), model.get("B"));
  const count = (name) => cost[name][0] + cost[name][1];
  const first = radios(
    `${id}-first`,
    "Multiply first by",
    ["A", "B"].map((name) => [name, `${name}: ${plural(count(name), "multiplication")}`]),
    (value) => {
      stop();
      const atEnd = current() === last();
      model.set("first", value); // redraws, so that last() below is the new one
      set({ step: atEnd ? last() : 0 });
    },
  );

  const stage = make("div", { class: "kpw-stage" });
  const root = make(
    "figure",
    { class: "kpw kpw-product", tabindex: "-1", "aria-labelledby": `${id}-caption` },
    make("figcaption", { class: "kpw-question", id: `${id}-caption` }, QUESTION),
    make(
      "div",
      { class: "kpw-controls", role: "group", "aria-label": "Animation" },
      restart, previous, play, next, slider, position, pace,
    ),
    room,
    stage,
    make("div", { class: "kpw-choices" }, order.node, first.node),
    make("p", { class: "kpw-muted kpw-keys" }, "Keys: \u2190 and \u2192 step, space plays, Home restarts."),
  );

  const onKey = (event) => {
    const target = event.target;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (target.matches("select, input[type=radio]")) return;
    const scrolls = target.matches(".kpw-scroll, input[type=range]");
    const isButton = target.closest("button") !== null;
    const actions = {
      ...(!scrolls && {
        ArrowRight: () => byHand(current() + 1),
        ArrowLeft: () => byHand(current() - 1),
        Home: () => byHand(0),
        End: () => byHand(last()),
      }),
      ...(!isButton && { " ": togglePlay }),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  };
  root.addEventListener("keydown", onKey);

  const showStep = () => {
    const number = current();
    const step = state.steps[number];
    const before = state.steps[Math.max(0, number - 1)];
    panels.forEach((panel) => panel.update(step, panel.byNumber ? number : before));
    words.textContent = describe(state, step);
    slider.max = last();
    slider.value = number;
    slider.setAttribute("aria-valuetext", `Step ${number} of ${last()}`);
    position.textContent = `${number} / ${last()}`;
    // aria-disabled and not disabled: a button must not lose the focus under the reader's finger.
    for (const node of [previous, restart]) node.setAttribute("aria-disabled", number === 0);
    next.setAttribute("aria-disabled", number === last());
  };
  const observer = new ResizeObserver(() => watchScroll(stage));
  const rebuild = () => {
    state = derive(model);
    panels = [wholePanel(state), { ...smallPanel(state), byNumber: true }, countPanel(state)];
    stage.replaceChildren(
      make("div", { class: "kpw-panels" }, panels[0].node, panels[1].node),
      panels[2].node,
    );
    reserve(room, words, state.steps.map((step) => describe(state, step)));
    order.set(state.order);
    first.set(state.first);
    showStep();
    watchScroll(stage);
  };

  model.on("change:step", showStep);
  model.on("change:order", rebuild);
  model.on("change:first", rebuild);
  keepKeys(root);
  el.append(root);
  rebuild();
  observer.observe(root);

  return () => {
    clearTimeout(timer);
    observer.disconnect();
    model.off("change:step", showStep);
    model.off("change:order", rebuild);
    model.off("change:first", rebuild);
  };
}

export default { render };
