// Given how much smaller or faster it has to be, which technique keeps the most accuracy?
//
// Everything happens in the page, which needs neither a kernel nor a network. common.js stands before.
// The model holds what is asked for (benchmark, against, at_least, printed, training), which changes
// here and in Python, and what Python alone knows: benchmarks, with all networks in groups, and largest.
//
// Part 1 decides, as kplib.experiments.points does; part 2 finds words; part 3 draws; part 4 has the
// controls, the table and the whole.

const QUESTION = "Given how much smaller or faster the network has to be, which technique keeps the most accuracy?";

// ---------------------------------------------------------------- 1. deciding

/** How many times smaller, or faster, than the baseline a network is; null if that is not known. */
const gainOf = (point, against) => (against === "size" ? point.smaller : point.speed_up);

const enough = (point, atLeast, against) => {
  const gain = gainOf(point, against);
  return gain !== null && gain >= atLeast;
};

/** The most accurate that is small or fast enough, of equal ones the smallest or fastest; or null. */
export function mostAccurate(points, atLeast, against) {
  const better = (a, b) => a.accuracy - b.accuracy || gainOf(a, against) - gainOf(b, against);
  return points.filter((point) => enough(point, atLeast, against))
    .reduce((best, point) => (best === null || better(point, best) > 0 ? point : best), null);
}

/** What no other network beats, the largest or slowest first. */
export function paretoFront(points, against) {
  const front = [];
  const known = points.filter((point) => gainOf(point, against) !== null);
  known.sort((a, b) => gainOf(b, against) - gainOf(a, against) || b.accuracy - a.accuracy);
  for (const point of known) {
    const top = front.at(-1);
    const equal = top && gainOf(top, against) === gainOf(point, against) && top.accuracy === point.accuracy;
    if (!top || point.accuracy > top.accuracy || equal) front.push(point);
  }
  return front.reverse();
}

/** What also is small or fast enough and cannot be told apart from `one` in accuracy. */
export function tiesOf(group, one, atLeast, against) {
  const place = group.points.indexOf(one);
  const partners = group.undecided.filter((pair) => pair.includes(place)).map(([a, b]) => (a === place ? b : a));
  return partners.sort((a, b) => a - b).map((k) => group.points[k]).filter((point) => enough(point, atLeast, against));
}

const STEPS = [1, 1.2, 1.5, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9];
const ALL_STOPS = [1, 10, 100].flatMap((decade) => STEPS.map((step) => Number((decade * step).toPrecision(2))));

/** Where the slider stops: up to the first that nothing reaches. */
function stopsFor({ groups, against }) {
  const gains = groups.flatMap((group) => group.points.map((point) => gainOf(point, against) ?? 1));
  const most = Math.max(1, ...gains);
  return ALL_STOPS.slice(0, ALL_STOPS.findIndex((stop) => stop > most) + 1 || undefined);
}

// ---------------------------------------------------------------- 2. words

const WORD = { size: "smaller", "speed-up": "faster" };
const PHRASE = { size: "times smaller", "speed-up": "times as fast" };
const NO_WORSE = { size: "no larger than the baseline", "speed-up": "no slower than the baseline" };
const ADJECTIVE = { size: "small", "speed-up": "fast" };
const NONE = "\u2013";
const percent = (value) => value.toFixed(2);
const times = (value) => (value >= 100 ? grouped(Math.round(value)) : value.toFixed(value < 2 ? 2 : 1));
const kilobytes = (value) => grouped(Number(value.toPrecision(value < 100 ? 3 : 4)));
const signed = (value) => (value < 0 ? `${MINUS}${percent(-value)}` : percent(value));

function nameOf(point) {
  const words = [point.label];
  if (point.compression !== null) words.push(`${point.compression}${TIMES}`);
  if (point.layers > 1) words.push(`${point.layers} layers`);
  return words.join(", ");
}

const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

const demandWords = ({ atLeast, against }) =>
  atLeast === 1 ? NO_WORSE[against] : `at least ${grouped(atLeast)} ${PHRASE[against]}`;

/** "1.38 points below the baseline", with the interval where there is one. */
function lostWords({ lost, lost_low: low, lost_high: high }) {
  const size = percent(Math.abs(lost));
  const where = lost >= 0 ? "below" : "above";
  const [a, b] = lost >= 0 ? [low, high] : [-(high ?? 0), -(low ?? 0)];
  const interval = low === null ? "" : ` (${signed(a)} to ${signed(b)})`;
  return `${size} points${interval} ${where} the baseline`;
}

/** The accuracy, with its interval, or with what it is where no mean is printed among means. */
function accuracyWords(point, kind) {
  const text = `${percent(point.accuracy)}%`;
  if (point.low !== null) return `${text} (${percent(point.low)} to ${percent(point.high)})`;
  return point.is_mean || kind === "bests" ? text : `${text} (the best of several: no mean is printed)`;
}

/** What a group's best network is, in pieces; one that is an array is bold. */
function bestWords(whose, best, { against, printed }) {
  const accuracy = accuracyWords(best, printed);
  if (best.technique === "baseline") return [`${whose}: `, ["the baseline itself"], `, ${accuracy}.`];
  const lost = best.lost === null ? "" : `, ${lostWords(best)}`;
  const size = against === "size" ? ` (${kilobytes(best.kilobytes)} KB)` : "";
  return [`${whose}: `, [nameOf(best)],
    ` keeps ${accuracy}${lost}, and is ${times(gainOf(best, against))} ${PHRASE[against]}${size}.`];
}

function noneWords(whose, group, { atLeast, against }) {
  const gains = group.points.map((point) => gainOf(point, against)).filter((gain) => gain !== null);
  if (gains.length === 0) return [`${whose}: not timed.`];
  return [`${whose}: none is ${grouped(atLeast)} ${PHRASE[against]}; the most is ${times(Math.max(...gains))}.`];
}

export function papersWords(group, asked) {
  const { atLeast, against, printed } = asked;
  if (group === null) return ["The papers: they have no such network."];
  const best = mostAccurate(group.points, atLeast, against);
  if (best === null) return noneWords("The papers", group, asked);
  const rest = group.points.filter((point) => point !== best && point.technique !== "baseline");
  const next = mostAccurate(rest, atLeast, against);
  const after = next === null ? ` Nothing else is ${ADJECTIVE[against]} enough.` : ` Next: ${nameOf(next)}, ${accuracyWords(next, printed)}.`;
  return [...bestWords("The papers", best, asked), after];
}

export function ourWords(group, asked) {
  const { atLeast, against } = asked;
  if (group === null) return ["Ours: not trained yet."];
  const best = mostAccurate(group.points, atLeast, against);
  const missing = group.missing.length > 0 ? ` Not in this training: ${listed(group.missing)}.` : "";
  if (best === null) return [...noneWords("Ours", group, asked), missing];
  const ties = tiesOf(group, best, atLeast, against);
  const rivals = group.points.filter((point) => point !== best && enough(point, atLeast, against));
  let after = " Its lead on each of the others has an interval above 0.";
  if (rivals.length === 0) after = ` Nothing else is ${ADJECTIVE[against]} enough.`;
  if (ties.length > 0) after = ` Not to be told apart from it: ${listed(ties.map(nameOf))}.`;
  return [...bestWords("Ours", best, { against, printed: "bests" }), after, missing];
}

const plain = (pieces) => pieces.flat().join("");
const asNodes = (pieces) => pieces.filter((piece) => piece !== "").map((piece) => (Array.isArray(piece) ? make("b", {}, ...piece) : piece));

/** One network in one line, for who points at it. */
function pointWords(point, whose) {
  const parts = [`${whose} ${nameOf(point)}: ${percent(point.accuracy)}%`];
  if (point.low !== null) parts[0] += ` (${percent(point.low)} to ${percent(point.high)})`;
  parts.push(`${kilobytes(point.kilobytes)} KB`);
  if (point.smaller !== null) parts.push(`${times(point.smaller)}${TIMES} smaller`);
  if (point.speed_up !== null) parts.push(`${times(point.speed_up)} times as fast`);
  if (point.seeds !== null) parts.push(plural(point.seeds, "seed"));
  return `${parts.join(", ")}.`;
}

// ---------------------------------------------------------------- 3. drawing

const MARGIN = { left: 34, right: 14, top: 26, bottom: 50 };
const HEIGHT = 330;
const R = 6; // of a marker
const BROKEN = 1.6; // an axis that begins above this many times is broken
const BREAK = 44; // pixels, for the baseline before it

// As kplib.plots.MARKERS: o s D ^ v P.
const SHAPES = {
  baseline: `M${-R} 0a${R} ${R} 0 1 0 ${2 * R} 0a${R} ${R} 0 1 0 ${-2 * R} 0z`,
  kp: "M-5.4 -5.4h10.8v10.8h-10.8z",
  hkp: "M0 -7.4L7.4 0L0 7.4L-7.4 0z",
  lmf: "M0 -6.8L6.8 5.6H-6.8z",
  pruned: "M0 6.8L6.8 -5.6H-6.8z",
  small: "M-2.3 -6.6h4.6v4.3h4.3v4.6h-4.3v4.3h-4.6v-4.3h-4.3v-4.6h4.3z",
};
const TECHNIQUES = { baseline: "baseline", small: "small", pruned: "pruned", lmf: "low rank", kp: "Kronecker", hkp: "hybrid" };

const marker = (technique, x, y, kind) =>
  draw("path", { class: `kpw-point kpw-${technique} kpw-${kind}`, d: SHAPES[technique], transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });

const swatch = (technique, kind) =>
  draw("svg", { class: "kpw-swatch", viewBox: "-9 -9 18 18", width: 16, height: 16, "aria-hidden": "true" }, marker(technique, 0, 0, kind));

function logTicks(low, high) {
  const all = (steps) => [0.1, 1, 10, 100].flatMap((decade) => steps.map((step) => Number((decade * step).toPrecision(3))))
    .filter((tick) => tick >= low && tick <= high);
  const choices = [[1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7]].map(all);
  return choices.find((ticks) => ticks.length >= 4) ?? all([1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]);
}

function linearTicks(low, high) {
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, k) => Number(((first + k) * step).toFixed(6)));
}

/** What is drawn: the points that have a place, with whose they are. */
const placed = (group, kind, against) =>
  (group?.points ?? []).filter((point) => gainOf(point, against) !== null).map((point) => ({ point, kind }));

/** Below this a network has not learned what the others have: far from the middle, as the best is not. */
function outlierBound(accuracies) {
  const sorted = [...accuracies].sort((one, other) => one - other);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  return middle - 4 * Math.max(2.5, sorted.at(-1) - middle);
}

/**
 * The range of both axes: of all that a click may show, so that nothing jumps. Where all others are far
 * smaller than the baseline, the axis begins at those and is broken: `left` is then above 1. Accuracies
 * far below all others do not stretch the axis: such networks stand at its foot, with their number.
 */
function rangeOf({ groups, against }) {
  const shown = groups.flatMap((group) => placed(group, "", against)).map(({ point }) => point);
  if (shown.length === 0) return null;
  const others = shown.filter((point) => point.technique !== "baseline");
  const gains = (others.length > 0 ? others : shown).map((point) => gainOf(point, against));
  const bound = outlierBound(shown.map((point) => point.accuracy));
  const heights = shown.filter((point) => point.accuracy >= bound).flatMap((point) => [point.accuracy, point.low ?? point.accuracy, point.high ?? point.accuracy]);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const pad = Math.max(0.4, 0.06 * (high - low));
  const least = Math.min(...gains) / 1.12;
  return {
    left: least > BROKEN ? least : Math.min(1, least) / 1.05, right: Math.max(1.5, ...gains) * 1.12,
    low: low - pad, high: Math.min(high + pad, 100.3),
  };
}

/** From the gain to the place from left to right. Before the break: the baseline, then all demands. */
function scaleX({ left: low, right: high }, from, to) {
  const start = low > BROKEN ? from + BREAK : from;
  const before = (gain) => from + (gain > 1 ? BREAK - 9 : BREAK / 2 - 4);
  return (gain) => (gain < low ? before(gain) : start + (Math.log(gain / low) / Math.log(high / low)) * (to - start));
}

/** "10x": the sizes of the middle; "2 layers" where others have one. */
const tagOf = (point) => (point.compression !== null ? `${point.compression}${TIMES}` : point.layers > 1 ? `${point.layers} layers` : "");

function plotPanel(id) {
  const svg = draw("svg", { role: "img", "aria-labelledby": `${id}-plot` });
  const box = make("div", { class: "kpw-plot" }, svg);
  const words = make("p", { class: "kpw-muted", "data-role": "point" });
  const room = make("div", { class: "kpw-room kpw-pointed" });
  let [state, drawn] = [null, []];
  const IDLE = "Point at a network, or touch it, for its numbers.";

  const steps = (group, kind, toX, toY, left) => {
    const front = paretoFront(group?.points ?? [], state.against);
    if (front.length === 0) return "";
    let d = `M${left} ${toY(front[0].accuracy).toFixed(1)}`;
    front.forEach((point, k) => (d += `${k ? `V${toY(point.accuracy).toFixed(1)}` : ""}H${toX(gainOf(point, state.against)).toFixed(1)}`));
    return draw("path", { class: `kpw-front kpw-front-${kind}`, d });
  };

  const axes = (range, toX, toY, width) => {
    const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const { against, baselineKilobytes } = state;
    const nodes = [];
    for (const tick of linearTicks(range.low, Math.min(range.high, 100))) {
      const y = toY(tick);
      nodes.push(draw("path", { class: "kpw-gridline", d: `M${left} ${y}H${right}` }),
        draw("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, String(tick)));
    }
    const broken = range.left > BROKEN;
    if (broken) {
      const x = left + BREAK - 5;
      nodes.push(draw("path", { class: "kpw-break", d: `M${x - 4} ${bottom + 5}l4 -10M${x} ${bottom + 5}l4 -10` }));
    }
    for (const tick of [...(broken ? [1] : []), ...logTicks(range.left, range.right)]) {
      const x = toX(tick);
      nodes.push(draw("path", { class: "kpw-gridline", d: `M${x} ${MARGIN.top}V${bottom}` }),
        draw("text", { x, y: bottom + 15, "text-anchor": "middle" }, `${tick}${TIMES}`));
      if (against === "size") nodes.push(draw("text", { class: "kpw-minor", x, y: bottom + 28, "text-anchor": "middle" }, kilobytes(Number((baselineKilobytes / tick).toPrecision(2)))));
    }
    nodes.push(draw("path", { class: "kpw-axis", d: `M${left} ${MARGIN.top}V${bottom}H${right}` }),
      draw("text", { class: "kpw-axis-name", x: 2, y: 15 }, "Test accuracy, %"),
      draw("text", { class: "kpw-axis-name", x: right, y: HEIGHT - 5, "text-anchor": "end" },
        against === "size" ? `Times smaller (log scale); below, KB` : "Times as fast as its own baseline (log scale)"));
    return nodes;
  };

  const network = ({ point, kind }, toX, toY, best, low) => {
    const [x, y] = [toX(gainOf(point, state.against)), toY(point.accuracy)];
    const out = enough(point, state.atLeast, state.against) ? "" : " kpw-out";
    const node = draw("g", { class: `kpw-network${out}`, "data-technique": point.technique, "data-kind": kind });
    if (point.low !== null) node.append(draw("path", { class: `kpw-bar kpw-${point.technique}`, d: `M${x.toFixed(1)} ${toY(point.low).toFixed(1)}V${toY(point.high).toFixed(1)}` }));
    node.append(marker(point.technique, x, y, kind));
    if (best) node.append(draw("circle", { class: "kpw-ring", cx: x, cy: y, r: 11 }));
    const tag = point.accuracy < low ? `${tagOf(point)} \u2193 ${point.accuracy.toFixed(0)}%`.trim() : tagOf(point);
    const told = drawn.some((other) => other.tag === tag && Math.hypot(other.x - x, other.y - y) < 18);
    if (tag && !told) node.append(draw("text", { class: "kpw-halo kpw-tag", x: x + 9, y: y - 7 }, tag));
    drawn.push({ point, kind, tag, x, y });
    return node;
  };

  const redraw = () => {
    if (state === null) return;
    const width = Math.max(240, box.clientWidth);
    const { papers, ours, against, atLeast } = state;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.style.height = `${HEIGHT}px`;
    const title = draw("title", { id: `${id}-plot` }, describe(state));
    const range = rangeOf(state);
    drawn = [];
    if (range === null) {
      svg.replaceChildren(title, draw("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "None of these networks was timed."));
      return;
    }
    const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const toX = scaleX(range, left, right);
    const height = (accuracy) => ((accuracy - range.low) / (range.high - range.low)) * (bottom - MARGIN.top);
    const toY = (accuracy) => bottom - (accuracy < range.low ? 7 : height(accuracy));
    const limit = Math.min(right, toX(atLeast));
    const networks = [...placed(papers, "papers", against), ...placed(ours, "ours", against)];
    const best = [papers, ours].map((group) => (group === null ? null : mostAccurate(group.points, atLeast, against)));
    Object.assign(svg.dataset, { left: range.left, right: range.right, low: range.low, high: range.high });
    svg.replaceChildren(
      title,
      draw("rect", { class: "kpw-shade", x: left, y: MARGIN.top, width: Math.max(0, limit - left), height: bottom - MARGIN.top }),
      ...axes(range, toX, toY, width),
      steps(papers, "papers", toX, toY, left),
      steps(ours, "ours", toX, toY, left),
      draw("path", { class: "kpw-limit", d: `M${limit.toFixed(1)} ${MARGIN.top - 4}V${bottom}` }),
      ...networks.map((one) => network(one, toX, toY, best.includes(one.point), range.low)),
    );
  };
  const point = (event) => {
    const { left, top } = svg.getBoundingClientRect();
    const distance = ({ x, y }) => Math.hypot(event.clientX - left - x, event.clientY - top - y);
    const near = drawn.filter((one) => distance(one) < 26).sort((a, b) => distance(a) - distance(b))[0];
    if (near) words.textContent = pointWords(near.point, near.kind === "papers" ? "The papers\u2019" : "Our");
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("click", point);
  const show = (next) => {
    if (state === null || next.entry !== state.entry) words.textContent = IDLE;
    state = next;
    redraw();
  };
  const rebuild = (texts) => reserve(room, words, texts);
  return { node: make("div", {}, box, room), box, redraw, show, rebuild };
}

function describe({ entry, papers, ours, against }) {
  const count = (group) => placed(group, "", against).length;
  return (
    `${entry.title}: test accuracy against ${against === "size" ? "size" : "speed"}, in multiples of the baseline\u2019s; ` +
    `${plural(count(papers), "network")} of the papers, ${count(ours)} of ours. All numbers are in the table below.`
  );
}

/** Which marker is which; the papers' hollow, ours filled. */
function legend() {
  const entry = (node, words) => make("span", {}, node, words);
  return make("p", { class: "kpw-legend kpw-muted", "aria-hidden": "true" },
    ...Object.entries(TECHNIQUES).map(([technique, words]) => entry(swatch(technique, "ours"), words)),
    entry(swatch("baseline", "papers"), "hollow, dashed: the papers"), entry(swatch("baseline", "ours"), "filled: ours, 95% interval"));
}

// ---------------------------------------------------------------- 4. controls, table, the whole

const PICKS = [1, 2, 5, 10, 15, 20];

/** Buttons for the benchmarks. */
function benchmarkButtons(entries, set) {
  const buttons = entries.map((entry) => {
    const node = make("button", { type: "button", value: entry.name }, entry.title);
    node.addEventListener("click", () => set({ benchmark: entry.name, training: 0 }));
    return node;
  });
  const node = make("div", { class: "kpw-picks kpw-controls", role: "group", "aria-label": "Benchmark" }, ...buttons);
  return { node, show: ({ entry }) => buttons.forEach((one) => one.setAttribute("aria-pressed", one.value === entry.name)) };
}

/** Which numbers: against size or speed, the papers' means or bests, which of our trainings. */
function choices(id, entries, set) {
  const against = radios(`${id}-against`, "It has to be", [["size", "smaller"], ["speed-up", "faster"]], (value) => set({ against: value }));
  const printed = radios(`${id}-printed`, "The papers\u2019 accuracies", [["means", "means"], ["bests", "best of several"]], (value) => set({ printed: value }));
  const most = Math.max(...entries.map((entry) => entry.ours.length));
  const places = Array.from({ length: most }, (_, k) => k);
  const training = radios(`${id}-training`, "Our training", places.map((k) => [String(k), ""]), (value) => set({ training: Number(value) }));
  const labels = [...training.node.querySelectorAll("label")];
  const nameOfTraining = (entry, k) => entry.ours[k]?.name ?? (k === 0 ? "none yet" : "");
  const rooms = labels.map((label, k) => {
    const [words, room] = [make("span"), make("span", { class: "kpw-room" })];
    reserve(room, words, entries.map((entry) => nameOfTraining(entry, k)));
    label.querySelector("span").replaceWith(room);
    return words;
  });
  const node = make("div", { class: "kpw-choices" }, against.node, printed.node, ...(most > 0 ? [training.node] : []));
  const show = (state) => {
    against.set(state.against);
    printed.set(state.printed);
    training.set(String(state.place));
    const found = state.entry.ours.length;
    labels.forEach((label, k) => {
      label.classList.toggle("kpw-unseen", k > 0 && k >= found);
      label.querySelector("input").classList.toggle("kpw-unseen", k >= found);
      rooms[k].textContent = nameOfTraining(state.entry, k);
    });
  };
  return { node, show };
}

/** How much smaller or faster: a slider over the stops, and buttons for round numbers. */
function demand(id, set) {
  const slider = make("input", { type: "range", min: 0, step: 1, id: `${id}-least` });
  const shown = make("output", { for: slider.id, "data-role": "least" });
  const word = make("span");
  let stops = ALL_STOPS;
  slider.addEventListener("input", () => set({ at_least: stops[Number(slider.value)] }));
  const buttons = PICKS.map((value) => {
    const node = make("button", { type: "button", value, "aria-label": `at least ${value} times` }, `${value}${TIMES}`);
    node.addEventListener("click", () => set({ at_least: value }));
    return node;
  });
  const node = make("div", { class: "kpw-controls kpw-demand" },
    make("div", { class: "kpw-slide" }, make("label", { for: slider.id }, "At least ", shown, `${TIMES} `, word), slider),
    make("div", { class: "kpw-picks", role: "group", "aria-label": "At least" }, ...buttons));
  const show = (state) => {
    stops = stopsFor(state);
    const { atLeast, against } = state;
    const nearest = stops.reduce((best, stop, k) => (Math.abs(Math.log(stop / atLeast)) < Math.abs(Math.log(stops[best] / atLeast)) ? k : best), 0);
    slider.max = stops.length - 1;
    slider.value = nearest;
    slider.setAttribute("aria-valuetext", demandWords(state));
    shown.textContent = atLeast;
    word.textContent = WORD[against];
    buttons.forEach((one) => one.setAttribute("aria-pressed", Number(one.value) === atLeast));
  };
  return { node, show };
}

/** All numbers of what is shown, a row a network. */
function tablePanel() {
  const caption = make("caption");
  const heads = ["Network", "KB", "", "Accuracy, %", "Lost, points"].map((words) => make("th", { scope: "col" }, words));
  const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...heads)));
  const summary = make("summary", { "data-lm-suppress-shortcuts": "true" }, "All numbers as a table");
  const node = make("details", { class: "kpw-numbers" }, summary, make("div", { class: "kpw-scroll" }, table));
  node.addEventListener("toggle", () => watchScroll(node));

  const cell = (value, low, high) => make("td", {}, value, ...(low === null ? [] : [make("small", {}, `${signed(low)} to ${signed(high)}`)]));
  const row = (point, kind, { atLeast, against, printed }) => {
    const gain = gainOf(point, against);
    const out = !enough(point, atLeast, against);
    const seeds = point.seeds === null ? [] : [make("small", {}, plural(point.seeds, "seed"))];
    const spoken = out ? [make("span", { class: "kpw-spoken" }, `, not ${ADJECTIVE[against]} enough`)] : [];
    const accuracy = cell(percent(point.accuracy), point.low, point.high);
    if (kind === "papers" && printed === "means" && !point.is_mean) accuracy.append(make("small", {}, "best"));
    const node = make("tr", { class: out ? "kpw-out" : "" },
      make("th", { scope: "row" }, make("span", {}, swatch(point.technique, kind), make("span", {}, nameOf(point), ...spoken, ...seeds))),
      cell(percent(point.kilobytes), null), cell(gain === null ? NONE : `${times(gain)}${TIMES}`, null),
      accuracy,
      cell(point.lost === null ? NONE : signed(point.lost), point.technique === "baseline" ? null : point.lost_low, point.lost_high));
    Object.assign(node.dataset, { technique: point.technique, kind });
    return node;
  };
  const body = (group, kind, title, state) => make("tbody", {},
    make("tr", {}, make("th", { scope: "rowgroup", colspan: 5 }, title)),
    ...(group?.points ?? []).map((point) => row(point, kind, state)));
  const show = (state) => {
    const { entry, papers, ours, against } = state;
    caption.textContent = `${entry.title}: accuracy against ${against === "size" ? "size" : "speed"}`;
    heads[2].textContent = WORD[against][0].toUpperCase() + WORD[against].slice(1);
    table.querySelectorAll("tbody").forEach((one) => one.remove());
    table.append(
      body(papers, "papers", papers === null ? "The papers: no such network" : `The papers: ${papers.name}`, state),
      body(ours, "ours", ours === null ? "Ours: not trained yet" : `Ours: ${ours.name}`, state));
    watchScroll(node);
  };
  return { node, show };
}

const COUNTED =
  "Sizes are of whole networks in float32, as the papers count them; what they call 10 or 20 times smaller is that of the recurrent layer, or nearly. " +
  "Steps: the best accuracy for each demand. Of the baselines the papers print the best of several alone, so the losses of their means are rather too large. " +
  "Speed: the papers\u2019 on one core of a phone\u2019s processor, ours compiled by kplib on an x86 server: each against the baseline on its own machine, not to be compared with one another.";

const TRAITS = ["benchmark", "against", "at_least", "printed", "training"];

/** Everything that a drawing needs. */
function read(model, changes = {}) {
  const values = { ...Object.fromEntries(TRAITS.map((name) => [name, model.get(name)])), ...changes };
  const entry = model.get("benchmarks").find((one) => one.name === values.benchmark);
  const place = Math.min(values.training, Math.max(0, entry.ours.length - 1));
  const groups = [entry.means, entry.bests, ...entry.ours].filter((group) => group);
  const any = groups[0].points[0];
  return {
    entry, place, groups,
    against: values.against, atLeast: values.at_least, printed: values.printed,
    papers: entry[values.printed], ours: entry.ours[place] ?? null,
    baselineKilobytes: any.kilobytes * any.smaller,
  };
}

/** The longest of all texts that `say` can give, whatever is chosen. */
function longest(model, say) {
  const texts = model.get("benchmarks").flatMap(({ name, ours }) =>
    ["size", "speed-up"].flatMap((against) => ["means", "bests"].flatMap((printed) =>
      Array.from({ length: Math.max(1, ours.length) }, (_, training) => {
        const state = read(model, { benchmark: name, against, printed, training });
        return stopsFor(state).map((atLeast) => say({ ...state, atLeast }));
      }).flat())));
  return [...new Set(texts)].sort((a, b) => b.length - a.length).slice(0, 3);
}

function render({ model, el }) {
  const id = uniqueId("accuracy");
  const entries = model.get("benchmarks");
  const set = (changes) => setAll(model, changes);
  const benchmarks = benchmarkButtons(entries, set);
  const chosen = choices(id, entries, set);
  const dial = demand(id, set);
  const plot = plotPanel(id);
  const table = tablePanel();
  const said = ["papers", "ours"].map((whose) => {
    const words = make("p", { class: "kpw-answer", "data-role": whose });
    const room = make("div", { class: "kpw-room" });
    const say = whose === "papers" ? (state) => papersWords(state.papers, state) : (state) => ourWords(state.ours, state);
    reserve(room, words, longest(model, (state) => plain(say(state))));
    return { room, show: (state) => words.replaceChildren(...asNodes(say(state))) };
  });
  const asked = make("p", { class: "kpw-title", "data-role": "asked" });
  const everyPoint = entries.flatMap((entry) => [entry.means, entry.bests, ...entry.ours].filter((group) => group).flatMap((group) => group.points));
  const longestPoint = everyPoint.map((point) => pointWords(point, "The papers\u2019")).sort((a, b) => b.length - a.length);
  plot.rebuild(longestPoint.slice(0, 1));

  const root = make("figure", { class: "kpw kpw-accuracy", tabindex: "-1", "aria-labelledby": `${id}-caption` },
    make("figcaption", { class: "kpw-question", id: `${id}-caption` }, QUESTION),
    benchmarks.node,
    chosen.node,
    dial.node,
    make("div", { class: "kpw-panel kpw-answers", "aria-live": "polite" }, asked, ...said.map((one) => one.room)),
    plot.node,
    legend(),
    table.node,
    make("p", { class: "kpw-muted kpw-keys" }, COUNTED),
  );
  const update = () => {
    const state = read(model);
    asked.textContent = `${state.entry.title}, ${demandWords(state)}`;
    [benchmarks, chosen, dial, plot, table, ...said].forEach((part) => part.show(state));
    keepKeys(root);
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
  TRAITS.forEach((name) => model.on(`change:${name}`, onChange));
  el.append(root);
  update();
  const observer = new ResizeObserver(() => {
    plot.redraw();
    watchScroll(root);
  });
  observer.observe(plot.box);
  return () => {
    observer.disconnect();
    TRAITS.forEach((name) => model.off(`change:${name}`, onChange));
  };
}

export default { render };
