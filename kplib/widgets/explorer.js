// Which factors make an m x n matrix, and what does each choice cost?
//
// Everything happens in the page, which needs neither a kernel nor a network. common.js stands before.
// The model holds `choice`, [m1, n1, m2, n2, r], which changes here and in Python, and `matrices`,
// the papers' [name, m, n]. m = r + m1 m2 and n = n1 n2 follow: no state can contradict itself.
//
// Part 1 is the arithmetic (kplib.shapes, a test compares them), part 2 the words, part 3 the
// drawings, part 4 the list, part 5 the whole.

const QUESTION = `Which factors make an m ${TIMES} n matrix, and what does each choice cost?`;
const LARGEST = 4096;
const SLIDER_END = 64;
const AT_MOST = "\u2264";

// ---------------------------------------------------------------- 1. arithmetic

export const divisors = (k) =>
  Array.from({ length: k }, (_, i) => i + 1).filter((divisor) => k % divisor === 0);

/** What [D; A (x) B] costs, D of r x n included; the rank is a bound, all else is exact. */
export function cost([m1, n1, m2, n2], r = 0) {
  const [m, n] = [r + m1 * m2, n1 * n2];
  const bFirst = r * n + n1 * m2 * (n2 + m1);
  const aFirst = r * n + m1 * n2 * (n1 + m2);
  const rank = Math.min(m, n, r + Math.min(m1, n1) * Math.min(m2, n2));
  return {
    params: r * n + m1 * n1 + m2 * n2,
    rank, bFirst, aFirst,
    macs: Math.min(bFirst, aFirst),
    full: rank === Math.min(m, n),
  };
}

const beats = (one, other) =>
  one.params <= other.params && one.macs <= other.macs && one.rank >= other.rank &&
  (one.params < other.params || one.macs < other.macs || one.rank > other.rank);

/** Mark those that no other one beats in parameters, multiplications and rank bound. */
function markFront(shapes) {
  const inOrder = [...shapes].sort(
    (a, b) => a.params - b.params || b.rank - a.rank || a.macs - b.macs,
  );
  // Whatever beats a shape stands before it, so the front so far decides.
  const front = [];
  for (const shape of inOrder) {
    shape.front = !front.some((other) => beats(other, shape));
    if (shape.front) front.push(shape);
  }
}

/** Every shape of the m x n matrix under r dense rows, the fewest parameters first. */
export function factorShapes(m, n, r = 0) {
  const lower = m - r;
  const columns = divisors(n);
  const rule = String(algorithm4(lower, n));
  const shapes = divisors(lower).flatMap((m1) =>
    columns.map((n1) => {
      const four = [m1, n1, lower / m1, n / n1];
      return { four, ...cost(four, r), rule: String(four) === rule };
    }),
  );
  shapes.sort(
    (a, b) =>
      a.params - b.params || a.macs - b.macs || a.bFirst - b.bFirst ||
      a.four[0] - b.four[0] || a.four[1] - b.four[1],
  );
  markFront(shapes);
  shapes.forEach((shape, place) => (shape.place = place));
  return shapes;
}

/** Algorithm 4's choice, and where it is undefined the fewest parameters. */
export const defaultShape = (m, n) => algorithm4(m, n) ?? factorShapes(m, n)[0].four;

// ---------------------------------------------------------------- 2. words

const pair = ([m1, n1, m2, n2]) => `(${m1}, ${n1}) ${KRON} (${m2}, ${n2})`;
const asProduct = (k) => (isComposite(k) ? `${k} = ${primeFactors(k).join(` ${DOT} `)}` : `${k}`);
const numbers = (shape) =>
  `${plural(shape.params, "parameter")}, rank at most ${shape.rank}, ${plural(shape.macs, "multiplication")}`;

/** How `value` compares with the dense matrix's. */
export function saving(value, dense) {
  if (value >= dense) return "no saving";
  const times = dense / value;
  if (times >= 100) return `${grouped(Math.round(times))} times fewer`;
  const text = times.toFixed(times < 2 ? 2 : 1);
  return Number(text) > 1 ? `${text} times fewer` : "hardly fewer";
}

function nearestRows(m, r) {
  const helps = (other) => other >= 0 && other < m && isComposite(m - other);
  for (let step = 1; step <= m; step++) {
    if (helps(r + step)) return r + step;
    if (helps(r - step)) return r - step;
  }
  return null;
}

/** What the papers' rule does with these sizes; where it is undefined, what can be done. */
export function ruleNote(m, n, r) {
  const lower = m - r;
  const lowerName = r > 0 ? `m ${MINUS} r` : "m";
  const rule = algorithm4(lower, n);
  if (rule !== null) {
    const [m1, n1, m2, n2] = rule;
    return (
      `Algorithm 4 splits ${lowerName} = ${asProduct(lower)} into ${m1} ${DOT} ${m2} ` +
      `and n = ${asProduct(n)} into ${n1} ${DOT} ${n2}.`
    );
  }
  const [rowsFactor, columnsFactor] = [isComposite(lower), isComposite(n)];
  const reasons = [[rowsFactor, lowerName, lower], [columnsFactor, "n", n]]
    .filter(([factors]) => !factors)
    .map(([, name, value]) => (value === 1 ? `${name} is 1` : `${name} = ${value} is a prime`));
  const [smallM, largeM] = rowsFactor ? twoFactors(lower) : [1, lower];
  const [smallN, largeN] = columnsFactor ? twoFactors(n) : [1, n];
  const shape = [largeM, smallN, smallM, largeN];
  const nearest = nearestRows(m, r);
  let help = "no r leaves an m that factors";
  if (!columnsFactor) help = "no r changes n";
  else if (nearest !== null) help = `r = ${nearest} leaves ${asProduct(m - nearest)}`;
  return (
    `Algorithm 4 is undefined: ${reasons.join(" and ")}, with no second factor. ` +
    `There are shapes all the same, such as ${pair(shape)}; ${help}.`
  );
}

/** Whether something beats a shape, in words. */
function standing(shape, shapes) {
  const rule = shape.rule ? "Algorithm 4's choice. " : "";
  if (shape.front) {
    return `${rule}On the Pareto front: whatever is better in one of the three is worse in another.`;
  }
  const better = shapes.find((other) => beats(other, shape));
  return `${rule}Beaten by ${pair(better.four)}: ${numbers(better)}.`;
}

/** How the three costs of a shape come about. */
function formulas({ m, n, r }, { four: [m1, n1, m2, n2], aFirst, bFirst }) {
  const rank = `min(${m1}, ${n1}) ${DOT} min(${m2}, ${n2})`;
  const cheaper = (one, other) => (one < other ? " (cheaper)" : "");
  return {
    params: `${r > 0 ? `${r} ${DOT} ${n} + ` : ""}${m1} ${DOT} ${n1} + ${m2} ${DOT} ${n2}`,
    rank: r > 0 ? `min(${m}, ${n}, ${r} + ${rank})` : rank,
    macs: `B first ${grouped(bFirst)}${cheaper(bFirst, aFirst)}, A first ${grouped(aFirst)}${cheaper(aFirst, bFirst)}`,
  };
}

// ---------------------------------------------------------------- 3. drawings

const AXES = {
  params: "Parameters",
  macs: "Multiplications",
};
const MARGIN = { left: 40, right: 16, top: 30, bottom: 42 };

const short = (value) => {
  for (const [size, letter] of [[1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${value / size}${letter}`;
  }
  return String(value);
};

/** A logarithmic scale from values to pixels. */
function logScale(low, high, from, to) {
  const span = Math.log(high / low);
  return (value) => from + (Math.log(value / low) / span) * (to - from);
}

/** Ticks at `steps` times powers of `base`, thinned until there are at most `most`. */
function ticks(low, high, base, steps, most) {
  const all = (base, steps) =>
    Array.from({ length: 30 }, (_, power) => steps.map((step) => step * base ** power))
      .flat()
      .filter((tick) => tick >= low && tick <= high);
  const found = all(base, steps);
  if (found.length <= most) return found;
  const powers = all(base, [1]);
  return powers.length <= most ? powers : all(base * base, [1]);
}

const dots = (points, radius) =>
  points
    .map(({ x, y }) => `M${(x - radius).toFixed(1)} ${y.toFixed(1)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`)
    .join("");

/** Where the numbers stand in the plot. */
function frame({ m, n, shapes }, axis, width, height) {
  const [left, right] = [MARGIN.left + 12, width - MARGIN.right - 8];
  const [bottom, top] = [height - MARGIN.bottom - 10, MARGIN.top + 12];
  // These bounds hold for every r, so the axes stand still while r changes.
  const low = Math.min(m * n, axis === "params" ? 2 * Math.sqrt(m * n) : m + n);
  const high = Math.max(m * n, low + 1, ...shapes.map((shape) => shape[axis]));
  const full = Math.min(m, n);
  return {
    width, height, low, high, full,
    toX: logScale(low, high, left, right),
    toY: logScale(1, Math.max(full, 2), bottom, top),
  };
}

/** Axes, grid, and the dense matrix as the reference. */
function background({ m, n }, axis, { width, height, low, high, full, toX, toY }) {
  const base = height - MARGIN.bottom;
  const node = draw("g", { class: "kpw-frame" });
  for (const tick of ticks(low, high * 1.001, 10, [1, 3], 6)) {
    const x = toX(tick);
    node.append(
      draw("path", { class: "kpw-gridline", d: `M${x} ${MARGIN.top}V${base}` }),
      draw("text", { x, y: base + 16, "text-anchor": "middle" }, short(tick)),
    );
  }
  for (const tick of ticks(1, full, 2, [1], 7)) {
    const y = toY(tick);
    node.append(
      draw("path", { class: "kpw-gridline", d: `M${MARGIN.left} ${y}H${width - MARGIN.right}` }),
      draw("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, grouped(tick)),
    );
  }
  const [xDense, yFull] = [toX(m * n), toY(full)];
  node.append(
    draw("path", { class: "kpw-axis", d: `M${MARGIN.left} ${MARGIN.top}V${base}H${width - MARGIN.right}` }),
    draw("path", { class: "kpw-reference", d: `M${MARGIN.left} ${yFull}H${width - MARGIN.right}M${xDense} ${MARGIN.top}V${base}` }),
    draw("text", { class: "kpw-axis-name", x: 2, y: 14 }, "Rank, at most"),
    draw("text", { class: "kpw-axis-name", x: width - MARGIN.right, y: height - 6, "text-anchor": "end" }, AXES[axis]),
    draw("text", { class: "kpw-halo", x: MARGIN.left + 5, y: yFull - 14 }, `full rank ${grouped(full)}`),
    draw("text", { class: "kpw-halo", x: xDense - 5, y: full < 3 ? (MARGIN.top + base) / 2 : base - 6, "text-anchor": "end" }, `dense W ${grouped(m * n)}`),
  );
  return node;
}

/** The best rank bound that can be had for so much. */
function stairs({ shapes }, axis, { toX, toY, high }) {
  let best = 0;
  let path = "";
  const inOrder = [...shapes].sort((a, b) => a[axis] - b[axis] || b.rank - a.rank);
  for (const shape of inOrder) {
    if (shape.rank <= best) continue;
    const [x, y] = [toX(shape[axis]), toY(shape.rank)];
    path += best === 0 ? `M${x} ${y}` : `H${x}V${y}`;
    best = shape.rank;
  }
  return draw("path", { class: "kpw-stairs", d: `${path}H${toX(high)}` });
}

function describePlot({ shapes }, axis) {
  const range = (key) => {
    const values = shapes.map((shape) => shape[key]);
    return `${grouped(Math.min(...values))} to ${grouped(Math.max(...values))}`;
  };
  return (
    `Plot of ${plural(shapes.length, "factor shape")}: rank bound ${range("rank")} against ` +
    `${AXES[axis].toLowerCase()} ${range(axis)}. The list beside it has the same shapes.`
  );
}

/** Algorithm 4's choice, with its name on the side that has room. */
function algorithmMark({ x, y }, width) {
  const onLeft = x > width * 0.62;
  const name = {
    class: "kpw-halo kpw-algorithm-name", x: x + (onLeft ? -14 : 14), y: y + 16,
    "text-anchor": onLeft ? "end" : "start",
  };
  return [
    draw("rect", { class: "kpw-algorithm", x: x - 5, y: y - 5, width: 10, height: 10 }),
    draw("text", name, "Algorithm 4"),
  ];
}

/** What stands beside the pointer. */
function tipWords(shapes) {
  const words = shapes.slice(0, 4).map((shape) =>
    make("div", {}, make("b", {}, pair(shape.four)), shape.rule ? " Algorithm 4" : "", make("br"),
      `${grouped(shape.params)} parameters, rank ${AT_MOST} ${shape.rank}, ${grouped(shape.macs)} MACs`),
  );
  if (shapes.length > 1) {
    words.push(make("div", { class: "kpw-muted" }, `${shapes.length} shapes here: click again for the next`));
  }
  return words;
}

/** The plot: rank bound against parameters or multiplications. Shapes of equal cost share a point. */
function plotPanel(id, onChoose) {
  const svg = draw("svg", { role: "img", "aria-labelledby": `${id}-plot` });
  const tip = make("div", { class: "kpw-tip", "aria-hidden": "true" });
  const box = make("div", { class: "kpw-plot" }, svg, tip);
  let state;
  let axis = "params";
  let points = [];
  let ring;
  let chosen;

  const redraw = () => {
    const [width, height] = [Math.max(240, box.clientWidth), Math.max(220, box.clientHeight)];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const place = frame(state, axis, width, height);
    points = state.shapes.map((shape) => ({
      shape, x: place.toX(shape[axis]), y: place.toY(shape.rank),
    }));
    const radius = points.length > 400 ? 3 : 4.5;
    const rule = points.find(({ shape }) => shape.rule);
    ring = draw("circle", { class: "kpw-ring", r: 10 });
    const title = draw("title", { id: `${id}-plot` }, describePlot(state, axis));
    svg.replaceChildren(
      title,
      background(state, axis, place),
      stairs(state, axis, place),
      draw("path", { class: "kpw-dominated", d: dots(points.filter(({ shape }) => !shape.front), radius - 0.5) }),
      draw("path", { class: "kpw-front", d: dots(points.filter(({ shape }) => shape.front), radius) }),
    );
    if (rule !== undefined) svg.append(...algorithmMark(rule, width));
    svg.append(ring);
    moveRing();
  };

  const moveRing = () => {
    const point = points[chosen.place];
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
  };

  /** The point nearest to the pointer and all that lie under it, nothing if it is too far. */
  const under = (event) => {
    const area = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
    let nearest = points[0];
    for (const point of points) {
      if (distance(point, { x, y }) < distance(nearest, { x, y })) nearest = point;
    }
    if (distance(nearest, { x, y }) > 28) return [];
    return points.filter((point) => distance(point, nearest) < 1.5);
  };

  const showTip = (group) => {
    svg.style.cursor = group.length > 0 ? "pointer" : "";
    tip.hidden = group.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(...tipWords(group.map(({ shape }) => shape)));
    const { x, y } = group[0];
    const room = box.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, x - tip.offsetWidth / 2))}px`;
    tip.style.top = y - tip.offsetHeight - 14 > 0 ? `${y - tip.offsetHeight - 14}px` : `${y + 14}px`;
  };
  svg.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") showTip(under(event));
  });
  svg.addEventListener("pointerleave", () => showTip([]));
  svg.addEventListener("click", (event) => {
    const group = under(event).map(({ shape }) => shape);
    if (group.length === 0) return;
    onChoose(group[(group.indexOf(chosen) + 1) % group.length]);
  });
  showTip([]);

  const switcher = radios(
    `${id}-axis`, "Rank against", [["params", "parameters"], ["macs", "MACs"]],
    (value) => {
      axis = value;
      redraw();
    },
  );
  switcher.set(axis);
  const keys = make("p", { class: "kpw-legend kpw-muted", "aria-hidden": "true" },
    ...[["front", "Pareto front"], ["dominated", "beaten"], ["ring", "chosen"]].map(
      ([name, words]) => make("span", {}, make("i", { class: `kpw-mark kpw-mark-${name}` }), words)),
  );
  const node = make("div", { class: "kpw-plot-side" },
    make("div", { class: "kpw-choices" }, switcher.node), box, keys);
  return {
    node,
    box,
    redraw,
    rebuild: (next, shape) => {
      [state, chosen] = [next, shape];
      showTip([]);
      redraw();
    },
    choose: (shape) => {
      chosen = shape;
      moveRing();
    },
  };
}

const SIDE = 150; // of the square that W fits into
const STORED = SIDE + 36;
const LABEL = 20;
const NARROW = 2.2; // lines closer than this are left out

/** A matrix of rows x cols pieces, to scale: lines between them only where they can be told apart. */
function pieces(className, [x, y, width, height], rows, cols) {
  const [stepX, stepY] = [width / cols, height / rows];
  let lines = "";
  if (stepX >= NARROW) for (let j = 1; j < cols; j++) lines += `M${x + j * stepX} ${y}v${height}`;
  if (stepY >= NARROW) for (let i = 1; i < rows; i++) lines += `M${x} ${y + i * stepY}h${width}`;
  return draw("g", { class: className },
    draw("rect", { class: "kpw-area", x, y, width, height }),
    draw("rect", { class: "kpw-first", x, y, width: Math.max(stepX, 1.5), height: Math.max(stepY, 1.5) }),
    draw("path", { class: "kpw-lines", d: lines, "stroke-width": Math.min(stepX, stepY) < 5 ? 0.5 : 0.9 }),
    draw("rect", { class: "kpw-outline", x, y, width, height }),
  );
}

/** W as blocks, and beside it, to the same scale, all that is stored of it. */
function patternPanel(id) {
  const svg = draw("svg", { role: "img", "aria-labelledby": `${id}-pattern`, viewBox: `0 0 ${STORED + SIDE + 46} ${SIDE + 2 * LABEL + 2}` });
  const words = make("p", { class: "kpw-muted kpw-pattern-words", "data-role": "pattern" });
  const node = make("div", { class: "kpw-panel kpw-pattern" },
    make("p", { class: "kpw-title" }, "W in blocks, and what is stored, to scale"), svg, words);

  const show = ({ m, n, r }, { four: [m1, n1, m2, n2] }) => {
    const scale = SIDE / Math.max(m, n);
    const size = (count) => Math.max(count * scale, 3);
    const [width, dense, lower] = [size(n), r > 0 ? Math.max(r * scale, 2) : 0, size(m - r)];
    const left = (SIDE - width) / 2;
    const top = LABEL + dense;
    const [aWidth, aHeight, bWidth, bHeight] = [size(n1), size(m1), size(n2), size(m2)];
    const factorsTop = top + (r > 0 ? LABEL : 0);
    const bLeft = STORED + aWidth + 24;
    const name = (x, y, text, anchor = "start") => draw("text", { x, y, "text-anchor": anchor }, text);
    const parts = [
      draw("title", { id: `${id}-pattern` },
        `W, ${m} by ${n}, in ${m1} by ${n1} blocks of ${m2} by ${n2}` +
        `${r > 0 ? ` below ${r} dense rows` : ""}; beside it A and B to the same scale.`),
      name(left, LABEL - 6, "W"),
      pieces("kpw-kron", [left, top, width, lower], m1, n1),
      name(SIDE + 18, LABEL + Math.min(SIDE, dense + lower) / 2 + 5, "=", "middle"),
      name(STORED, factorsTop - 6, "A"),
      pieces("kpw-kron", [STORED, factorsTop, aWidth, aHeight], m1, n1),
      name(STORED + aWidth + 12, factorsTop + 12, KRON, "middle"),
      name(bLeft, factorsTop - 6, "B"),
      pieces("kpw-kron kpw-whole", [bLeft, factorsTop, bWidth, bHeight], m2, n2),
    ];
    if (r > 0) {
      parts.push(
        draw("rect", { class: "kpw-dense-rows", x: left, y: LABEL, width, height: dense }),
        draw("rect", { class: "kpw-dense-rows", x: STORED, y: LABEL, width, height: dense }),
        name(STORED, LABEL - 6, "D"),
      );
    }
    svg.replaceChildren(...parts);
    words.textContent =
      `${m1} ${TIMES} ${n1} blocks of ${m2} ${TIMES} ${n2}: block (i, j) is A[i, j] B, the first one is filled.` +
      (r > 0 ? ` D is ${r} ${TIMES} ${n}, dense.` : "");
  };
  return { node, show };
}

/** The numbers of the chosen shape. */
function readoutPanel() {
  const room = () => make("div", { class: "kpw-room" });
  const words = (role) => make("div", { "data-role": role });
  const rows = Object.entries({
    params: "Parameters", rank: "Rank, at most", macs: "Multiplications",
  }).map(([key, label]) => {
    const value = make("b", { "data-role": key });
    const of = make("span", { class: "kpw-muted", "data-role": `${key}-of` });
    const remark = make("dd", { class: "kpw-remark", "data-role": `${key}-remark` });
    const [how, howRoom] = [words(`${key}-how`), room()];
    const node = make("div", {}, make("dt", {}, label), remark, make("dd", { class: "kpw-value" }, value, " ", of),
      make("dd", { class: "kpw-how kpw-muted" }, howRoom));
    return { key, value, of, remark, how, howRoom, node };
  });
  const title = make("p", { class: "kpw-title", "data-role": "chosen" });
  const [place, placeRoom] = [words("standing"), room()];
  const node = make("div", { class: "kpw-panel kpw-readout" }, title,
    make("dl", {}, ...rows.map((row) => row.node)), placeRoom);

  const longest = (texts) => [texts.reduce((a, b) => (b.length > a.length ? b : a))];
  const rebuild = (state) => {
    const every = state.shapes.map((shape) => formulas(state, shape));
    for (const { key, how, howRoom } of rows) {
      reserve(howRoom, how, longest(every.map((texts) => texts[key])));
    }
    reserve(placeRoom, place, longest(state.shapes.map((shape) => standing(shape, state.shapes))));
  };
  const show = (state, shape) => {
    const { m, n, shapes } = state;
    const [m1, n1, m2, n2] = shape.four;
    title.textContent = `A ${m1} ${TIMES} ${n1}, B ${m2} ${TIMES} ${n2}`;
    const how = formulas(state, shape);
    const dense = { params: m * n, rank: Math.min(m, n), macs: m * n };
    const remarks = {
      params: saving(shape.params, dense.params),
      rank: shape.full ? "full rank is possible" : "full rank impossible",
      macs: saving(shape.macs, dense.macs),
    };
    for (const row of rows) {
      row.value.textContent = grouped(shape[row.key]);
      row.of.textContent = `of ${grouped(dense[row.key])}`;
      row.remark.textContent = remarks[row.key];
      row.how.textContent = how[row.key];
    }
    place.textContent = standing(shape, shapes);
  };
  return { node, rebuild, show };
}

// ---------------------------------------------------------------- 4. the list

// key, label, how it is sorted at the first click and at the second, the comparison of the first.
const COLUMNS = [
  ["shape", "A, B", ["smallest A first", "largest A first"], (a, b) => a.four[0] - b.four[0] || a.four[1] - b.four[1]],
  ["params", "Parameters", ["fewest first", "most first"], (a, b) => a.params - b.params],
  ["rank", `Rank ${AT_MOST}`, ["highest first", "lowest first"], (a, b) => b.rank - a.rank],
  ["macs", "MACs", ["fewest first", "most first"], (a, b) => a.macs - b.macs],
];
const FILTERS = {
  all: ["all", () => true],
  front: ["Pareto front", (shape) => shape.front],
  full: ["full rank", (shape) => shape.full],
};

const optionId = (id, shape) => `${id}-shape-${shape.place}`;

/** One row of the list, as HTML: there may be two thousand, and no text in it comes from outside. */
function row(id, shape) {
  // What a listener needs beside the numbers: units, and what the colours say.
  const cell = (value, unit) => `<span>${grouped(value)}<small> ${unit}</small></span>`;
  const extra = `${shape.front ? ", on the Pareto front" : ""}${shape.full ? ", full rank possible" : ""}${shape.rule ? ", Algorithm 4's choice" : ""}`;
  const mark = shape.rule ? "algorithm" : shape.front ? "front" : "dominated";
  return (
    `<div role="option" id="${optionId(id, shape)}" aria-selected="false" data-place="${shape.place}">` +
    `<i class="kpw-mark kpw-mark-${mark}"></i><span>${pair(shape.four)}</span>` +
    cell(shape.params, "parameters,") + cell(shape.rank, "rank at most,") +
    cell(shape.macs, `multiplications${extra}`) + "</div>"
  );
}

/** All shapes as a listbox: arrow keys move the choice. */
function listPanel(id, onChoose) {
  let state;
  let chosen;
  let shown = [];
  let sortBy = "params";
  let reversed = false;
  let filter = "all";

  const buttons = COLUMNS.map(([key, label]) => {
    const node = make("button", { type: "button", class: "kpw-sort" }, make("span", {}, label));
    node.dataset.sort = key;
    node.addEventListener("click", () => {
      reversed = sortBy === key && !reversed;
      sortBy = key;
      rebuildRows();
    });
    return node;
  });
  const listbox = make("div", { role: "listbox", tabindex: "0", "aria-label": "Factor shapes", id: `${id}-list` });
  const box = make("div", { class: "kpw-list" },
    make("div", { class: "kpw-head", role: "group", "aria-label": "Sort by" }, ...buttons), listbox);
  const filters = radios(`${id}-filter`, "Show", Object.entries(FILTERS).map(([key, [label]]) => [key, label]), (value) => {
    filter = value;
    rebuildRows();
  });
  filters.set(filter);
  const labels = [...filters.node.querySelectorAll("span")];
  const node = make("div", { class: "kpw-list-side kpw-controls" },
    make("div", { class: "kpw-choices" }, filters.node), box);

  const rebuildRows = () => {
    const [, , , compare] = COLUMNS.find(([key]) => key === sortBy);
    shown = state.shapes.filter(FILTERS[filter][1]);
    shown.sort((a, b) => (reversed ? -1 : 1) * compare(a, b) || a.place - b.place);
    listbox.classList.toggle("kpw-long", shown.length > 200);
    listbox.innerHTML = shown.map((shape) => row(id, shape)).join("");
    buttons.forEach((button, k) => {
      const [key, label, orders] = COLUMNS[k];
      const active = key === sortBy;
      button.setAttribute("aria-pressed", active);
      button.setAttribute("aria-label", active ? `${label}, ${orders[Number(reversed)]}` : label);
      button.dataset.direction = active ? ((key === "rank") !== reversed ? "down" : "up") : "";
    });
    showChoice();
  };

  const showChoice = () => {
    listbox.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    const option = listbox.querySelector(`#${optionId(id, chosen)}`);
    if (option === null) {
      listbox.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    listbox.setAttribute("aria-activedescendant", option.id);
    // Only the list scrolls, never the page.
    const [top, head] = [option.offsetTop, listbox.offsetTop];
    const bottom = top + option.offsetHeight;
    if (top - head < box.scrollTop) box.scrollTop = top - head;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  };

  listbox.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option !== null) onChoose(state.shapes[Number(option.dataset.place)]);
  });
  listbox.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const now = shown.indexOf(chosen);
    const page = 8;
    const targets = {
      ArrowDown: now + 1, ArrowUp: now < 0 ? 0 : now - 1, PageDown: now + page, PageUp: now - page,
      Home: 0, End: shown.length - 1,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    event.stopPropagation();
    onChoose(shown[Math.max(0, Math.min(shown.length - 1, targets[event.key]))]);
  });

  return {
    node,
    listbox,
    rebuild: (next, shape) => {
      [state, chosen] = [next, shape];
      Object.values(FILTERS).forEach(([label, accept], k) => {
        labels[k].textContent = `${label} (${grouped(state.shapes.filter(accept).length)})`;
      });
      rebuildRows();
    },
    choose: (shape) => {
      chosen = shape;
      showChoice();
    },
    reveal: showChoice,
  };
}

// ---------------------------------------------------------------- 5. the whole

/** An integer from a number field, or null. */
const integer = (text) => (/^\s*\d{1,9}\s*$/.test(text) ? Number(text) : null);

/** m, n, r and the papers' matrices. */
function sizeControls(id, matrices, { onSizes, onMessage }) {
  let state;
  const other = make("option", { value: "" }, "another one");
  const select = make("select", { id: `${id}-matrix` }, other,
    ...matrices.map(([name, m, n], k) => make("option", { value: k }, `${name}, ${m} ${TIMES} ${n}`)));
  select.addEventListener("change", () => {
    if (select.value === "") return show(state);
    const [, m, n] = matrices[Number(select.value)];
    return onSizes({ m, n, r: 0 });
  });

  const field = (key, label, low, high) => {
    const input = make("input", {
      type: "number", inputmode: "numeric", step: 1, min: low, id: `${id}-${key}`, "aria-describedby": `${id}-note`,
    });
    input.addEventListener("change", () => {
      const value = integer(input.value);
      if (value === null || value < low || value > high()) {
        input.setAttribute("aria-invalid", "true");
        const found = input.value === "" ? "That" : input.value;
        onMessage(
          `${found} is no ${label}: it is a whole number from ${low} to ${grouped(high())}. ` +
          `Still shown: ${state.m} ${TIMES} ${state.n}, r = ${state.r}.`,
        );
        return;
      }
      const sizes = { m: state.m, n: state.n, r: state.r, [key]: value };
      const tooMany = sizes.r >= sizes.m;
      onSizes(tooMany ? { ...sizes, r: 0 } : sizes, tooMany ? `r = ${sizes.r} leaves nothing of m = ${sizes.m}, so r is 0 now. ` : "");
    });
    return input;
  };
  const m = field("m", "m", 1, () => LARGEST);
  const n = field("n", "n", 1, () => LARGEST);
  const r = field("r", "r", 0, () => state.m - 1);
  const slider = make("input", { type: "range", min: 0, step: 1, "aria-label": "Dense rows r, as a slider" });
  slider.addEventListener("input", () => onSizes({ m: state.m, n: state.n, r: Number(slider.value) }));
  const marks = make("div", { class: "kpw-marks", "aria-hidden": "true" });
  const label = (input, ...text) => make("label", { for: input.id }, ...text);
  const node = make("div", { class: "kpw-controls kpw-sizes", role: "group", "aria-label": "The matrix" },
    make("div", { class: "kpw-field" }, label(select, "A gate of the papers"), select),
    make("div", { class: "kpw-field" }, make("span", { class: "kpw-labels" }, label(m, "m"), ` ${TIMES} `, label(n, "n")),
      make("span", { class: "kpw-inputs" }, m, TIMES, n)),
    make("div", { class: "kpw-field kpw-rows" }, label(r, `Dense rows r of a hybrid; marked: m ${MINUS} r factors`),
      make("span", { class: "kpw-inputs" }, make("span", { class: "kpw-slider" }, slider, marks), r)),
  );

  const show = (next) => {
    state = next;
    const chosen = matrices.findIndex(([, rows, cols]) => rows === next.m && cols === next.n);
    select.value = chosen < 0 ? "" : String(chosen);
    const end = next.r > SLIDER_END ? next.m - 1 : Math.min(next.m - 1, SLIDER_END);
    for (const [input, value] of [[m, next.m], [n, next.n], [r, next.r]]) {
      input.value = value;
      input.removeAttribute("aria-invalid");
    }
    m.max = n.max = LARGEST;
    r.max = next.m - 1;
    slider.max = Math.max(end, 1);
    slider.value = next.r;
    slider.disabled = next.m === 1;
    slider.setAttribute("aria-valuetext", `r = ${next.r}, m ${MINUS} r = ${asProduct(next.m - next.r)}`);
    marks.replaceChildren();
    if (end > SLIDER_END || !isComposite(next.n)) return;
    for (let rows = 0; rows <= end; rows++) {
      if (!isComposite(next.m - rows)) continue;
      const mark = make("i", { "data-rows": rows });
      mark.style.setProperty("--at", rows / Math.max(end, 1));
      marks.append(mark);
    }
  };
  return { node, show };
}

const PICKS = [
  ["rule", "Algorithm 4's choice", ({ shapes }) => shapes.find((shape) => shape.rule)],
  ["fewest", "fewest parameters", ({ shapes }) => shapes[0]],
  ["full", "full rank, fewest parameters", ({ shapes }) => shapes.find((shape) => shape.full)],
];

function picksPanel(onChoose) {
  let state;
  const buttons = PICKS.map(([key, label, find]) => {
    const button = make("button", { type: "button" }, label);
    button.dataset.pick = key;
    button.addEventListener("click", () => {
      const shape = find(state);
      if (shape !== undefined) onChoose(shape);
    });
    return button;
  });
  const node = make("div", { class: "kpw-controls kpw-picks", role: "group", "aria-label": "Go to" },
    make("span", { "aria-hidden": "true" }, "Go to"), ...buttons);
  const show = (next, chosen) => {
    state = next;
    buttons.forEach((button, k) => {
      const shape = PICKS[k][2](state);
      button.setAttribute("aria-disabled", shape === undefined);
      button.setAttribute("aria-pressed", shape === chosen);
    });
  };
  return { node, show };
}

function render({ model, el }) {
  const id = uniqueId("explorer");
  let state = null;
  let notice = "";

  const choose = (shape) => setAll(model, { choice: [...shape.four, state.r] });
  const setSizes = ({ m, n, r }, words = "") => {
    notice = words;
    if (state.m === m && state.n === n && state.r === r) showSizes(); // a refused entry gives way
    else setAll(model, { choice: [...defaultShape(m - r, n), r] });
  };

  const message = make("p", { class: "kpw-note", id: `${id}-note`, role: "status", "data-role": "note" });
  const room = make("div", { class: "kpw-room" });
  const sizes = sizeControls(id, model.get("matrices"), {
    onSizes: setSizes,
    onMessage: (words) => (message.textContent = words),
  });
  const plot = plotPanel(id, choose);
  const list = listPanel(id, choose);
  const picks = picksPanel(choose);
  const readout = readoutPanel();
  const pattern = patternPanel(id);
  const spoken = make("p", { class: "kpw-spoken", "aria-live": "polite", "data-role": "spoken" });
  // Within the list the option itself is read out, and a second voice would be too much.
  list.listbox.addEventListener("focus", () => spoken.setAttribute("aria-live", "off"));
  list.listbox.addEventListener("blur", () => spoken.setAttribute("aria-live", "polite"));

  const root = make("figure",
    { class: "kpw kpw-explorer", tabindex: "-1", "aria-labelledby": `${id}-caption` },
    make("figcaption", { class: "kpw-question", id: `${id}-caption` }, QUESTION),
    sizes.node, room,
    make("div", { class: "kpw-stage" }, plot.node, list.node),
    picks.node,
    make("div", { class: "kpw-stage kpw-below" }, readout.node, pattern.node),
    spoken,
    make("p", { class: "kpw-muted kpw-keys" },
      `Click a point, again for the next one at the same place; in the list \u2191 and \u2193 move the choice. MACs: multiplications for one W x.`),
  );

  const rebuild = (m, n, r) => {
    const shapes = factorShapes(m, n, r);
    state = { m, n, r, shapes, byShape: new Map(shapes.map((shape) => [String(shape.four), shape])) };
  };
  const reserveNote = () => {
    const end = Math.min(state.m - 1, SLIDER_END);
    const texts = Array.from({ length: end + 1 }, (_, r) => ruleNote(state.m, state.n, r));
    texts.sort((a, b) => b.length - a.length);
    reserve(room, message, texts.slice(0, 2));
  };
  const showSizes = () => {
    sizes.show(state);
    message.textContent = notice + ruleNote(state.m, state.n, state.r);
    notice = "";
  };
  const refresh = () => {
    const [m1, n1, m2, n2, r] = model.get("choice");
    const [m, n] = [r + m1 * m2, n1 * n2];
    const old = state;
    const isNew = old === null || old.m !== m || old.n !== n || old.r !== r;
    if (isNew) {
      rebuild(m, n, r);
      readout.rebuild(state);
    }
    const shape = state.byShape.get(String([m1, n1, m2, n2]));
    if (old === null || old.m !== m || old.n !== n) reserveNote();
    showSizes();
    for (const panel of [plot, list]) {
      if (isNew) panel.rebuild(state, shape);
      else panel.choose(shape);
    }
    picks.show(state, shape);
    readout.show(state, shape);
    pattern.show(state, shape);
    spoken.textContent = `Chosen: A ${m1} by ${n1}, B ${m2} by ${n2}: ${numbers(shape)}.`;
  };

  model.on("change:choice", refresh);
  keepKeys(root);
  el.append(root);
  refresh();
  // A view is drawn before it has a size, and again whenever that changes.
  const observer = new ResizeObserver(() => {
    plot.redraw();
    list.reveal();
  });
  observer.observe(plot.box);
  return () => {
    observer.disconnect();
    model.off("change:choice", refresh);
  };
}

export default { render };
