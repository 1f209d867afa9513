// Does this network fit into this chip, and what eats the memory?
//
// Everything happens in the page, which needs neither a kernel nor a network. common.js stands before.
// The model holds the network (cell, input_size, hidden_size, classes, directions, steps), its
// storage (storage, rank, bits) and the chip (flash_bytes, ram_bytes), which change here and in
// Python; and what Python alone knows: cells, benchmarks, devices, largest_size.
//
// Part 1 counts, as kplib.experiments.memory does; part 2 finds words; part 3 draws.

const QUESTION = "Does this network fit into this chip, and what eats the memory?";
const FLOAT32 = 4; // bytes

// ---------------------------------------------------------------- 1. counting

const sum = (values) => values.reduce((total, value) => total + value, 0);

const hasFactors = (net, hidden) => isComposite(hidden) && isComposite(net.input_size + hidden);

/** The largest rank that every stack of gate matrices can have. */
const maxRank = ({ cell, hidden_size: h, input_size: i }) =>
  Math.min(i + h, ...cell.stacks.map((stacked) => stacked * h));

/** The two parts of all gate matrices as [name, factors of the product that counts it]. */
function matrixParts({ cell, input_size: i, hidden_size: h, storage, rank }, shape) {
  const gates = sum(cell.stacks);
  if (storage === "kronecker") {
    const [m1, n1, m2, n2] = shape;
    return [["A", gates, m1, n1], ["B", gates, m2, n2]];
  }
  if (storage === "low_rank") return [["U", gates, h, rank], ["V", cell.stacks.length, rank, i + h]];
  return [["W_x", gates, h, i], ["W_h", gates, h, h]];
}

/**
 * What a network takes, as {flash: [part], ram: [part], multiplications}; null where Algorithm 4 has
 * no factors. A part is {name, terms, numbers, bytes}: `terms` are multiplied, `plus` is added.
 */
export function footprint(net) {
  const { cell, input_size: i, hidden_size: h, classes, directions, steps, storage, rank, bits } = net;
  const gates = sum(cell.stacks);
  const shape = storage === "kronecker" ? algorithm4(h, i + h) : null;
  if (storage === "kronecker" && shape === null) return null;
  const part = (name, bytesEach, terms, plus = 0) => {
    const numbers = terms.reduce((product, term) => product * term, 1) + plus;
    return { name, terms, plus, numbers, bytes: bytesEach * numbers };
  };
  const twice = directions === 2 ? [2] : [];
  const flash = [
    ...matrixParts(net, shape).map(([name, ...terms]) => part(name, bits / 8, [...twice, ...terms])),
    part("biases", bits / 8, [...twice, gates, h], directions * cell.scalars),
    part("head", FLOAT32, [classes, directions * h], classes),
  ];
  let [between, aMatrix] = [[0], gates * h * (i + h)];
  if (storage === "low_rank") {
    between = [rank];
    aMatrix = sum(cell.stacks.map((stacked) => rank * (stacked * h + i + h)));
  }
  if (storage === "kronecker") {
    const [m1, n1, m2, n2] = shape;
    const [bFirst, aFirst] = [n1 * m2 * (n2 + m1), m1 * n2 * (n1 + m2)];
    between = bFirst <= aFirst ? [n1, m2] : [m1, n2];
    aMatrix = gates * Math.min(bFirst, aFirst);
  }
  const ram = [
    part("input", FLOAT32, directions === 2 ? [steps, i] : [i]),
    part("state", FLOAT32, [directions + cell.states - 1, h]),
    part("gates", FLOAT32, gates * h >= classes ? [gates, h] : [classes]),
    part("between", FLOAT32, between),
  ];
  return { flash, ram, shape, multiplications: directions * aMatrix };
}

const bytesOf = (parts) => sum(parts.map((part) => part.bytes));

/** The largest hidden size that fits into the chip, all else as it is; 0 if none does. */
export function largestHiddenSize(net, chip, largest) {
  for (let hidden = largest; hidden > 0; hidden--) {
    const candidate = { ...net, hidden_size: hidden };
    if (net.storage === "low_rank" && net.rank > maxRank(candidate)) return 0;
    if (net.storage === "kronecker" && !hasFactors(net, hidden)) continue;
    const { flash, ram } = footprint(candidate);
    if (bytesOf(flash) <= chip.flash_bytes && bytesOf(ram) <= chip.ram_bytes) return hidden;
  }
  return 0;
}

/** The nearest hidden sizes, one below and one above, that Algorithm 4 can factor; 0: there is none. */
export function nearestHiddenSizes(net) {
  let [below, above] = [net.hidden_size - 1, net.hidden_size + 1];
  while (below > 0 && !hasFactors(net, below)) below--;
  while (!hasFactors(net, above)) above++;
  return [Math.max(below, 0), above];
}

// ---------------------------------------------------------------- 2. words

const kilobytes = (bytes) =>
  (bytes / 1024).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const sizeText = (bytes) => (bytes < 1024 ? `${bytes} B` : `${kilobytes(bytes)} KB`);
/** A limit as its maker states it: 32 KB, not 32.00 KB. */
const limitText = (bytes) =>
  bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toLocaleString("en-US", { maximumFractionDigits: 2 })} KB`;
const percent = (ratio) => (ratio < 0.01 ? "under 1%" : `${Math.floor(100 * ratio)}%`);

/** How many times too large: with the digits that it takes to be more than 1. */
function times(ratio) {
  const digits = [1, 2, 3].find((count) => Number(ratio.toFixed(count)) > 1) ?? 4;
  const shown = ratio >= 100 ? 0 : digits;
  return ratio.toLocaleString("en-US", { minimumFractionDigits: shown, maximumFractionDigits: shown });
}

function verdict(flashRatio, ramRatio) {
  const tooLarge = [["flash", flashRatio], ["RAM", ramRatio]].filter(([, ratio]) => ratio > 1);
  if (tooLarge.length === 0) {
    return `Fits: it takes ${percent(flashRatio)} of the flash and ${percent(ramRatio)} of the RAM.`;
  }
  return `Does not fit: ${tooLarge.map(([name, r]) => `${times(r)} times too large for the ${name}`).join(", ")}.`;
}

function noFactors(net) {
  const [m, n] = [net.hidden_size, net.input_size + net.hidden_size];
  const bad = [...new Set([m, n])].filter((k) => !isComposite(k));
  const reason = bad.map((k) => `${grouped(k)} is ${k === 1 ? "no product" : "a prime"}`).join(" and ");
  return `Algorithm 4 has no factors for gates of ${grouped(m)} ${TIMES} ${grouped(n)}: ${reason}. Take another size.`;
}

/** Wordings as long as they get, two primes among them: their room is kept free. */
const LONGEST = [
  verdict(123456, 123456),
  noFactors({ hidden_size: 4093, input_size: 4086 }),
  noFactors({ hidden_size: 1, input_size: 4098 }),
];

const NAMES = {
  W_x: ["W", "x"], W_h: ["W", "h"], A: ["A"], B: ["B"], U: ["U"], V: ["V"],
  biases: ["biases"], head: ["head"], input: ["input"], state: ["state"], gates: ["gates"],
  between: ["between"],
};
/** A part's short name, with its index below where it has one. */
function nameOf(part) {
  const [name, index] = NAMES[part];
  return index ? [make("i", {}, name), make("sub", {}, index)] : name.length === 1 ? [make("i", {}, name)] : [name];
}

const EXPLAINED = {
  W_x: "on the input", W_h: "on the state", A: "left factors", B: "right factors", U: "tall factor",
  V: "wide factor", biases: "one a gate", head: "state to classes",
};
function explain(name, net) {
  if (name === "input") return net.directions === 2 ? "all steps" : "one step";
  if (name === "state") return net.cell.states === 2 ? "h and c" : "h";
  if (name === "gates") return "later the logits";
  if (name === "between") return { dense: "no factors", kronecker: "A and B", low_rank: "U and V" }[net.storage];
  if (name === "biases" && net.cell.scalars) return "and \u03b1, \u03b2";
  return EXPLAINED[name];
}

const formula = ({ terms, plus }) =>
  terms.map(grouped).join(` ${TIMES} `) + (plus ? ` + ${grouped(plus)}` : "");

function gateWords(net, shape) {
  const [m, n] = [net.hidden_size, net.input_size + net.hidden_size];
  const gate = `${grouped(m)} ${TIMES} ${grouped(n)}`;
  if (net.storage === "dense") return `Each gate: ${gate}, ${grouped(m * n)} numbers.`;
  if (net.storage === "low_rank") {
    const pairs = net.cell.stacks.map((k) => `${grouped(k * m)} ${TIMES} ${grouped(n)}`).join(" and ");
    return `All gates stacked: ${pairs}, as U V.`;
  }
  if (shape === null) return `Each gate: ${gate}, no factors.`;
  const [m1, n1, m2, n2] = shape;
  return `Each gate: ${m1} ${TIMES} ${n1} ${KRON} ${m2} ${TIMES} ${n2}, ${grouped(m1 * n1 + m2 * n2)} of ${grouped(m * n)} numbers.`;
}

// ---------------------------------------------------------------- 3. drawing

const MOST_BOXES = 64;

/** The bar's length in chips: 1, 2, 4, ... so that the bar is never shorter than half of it. */
export const barLength = (ratio) => 2 ** Math.max(0, Math.ceil(Math.log2(ratio)));

/** One memory: its parts as a bar over boxes, each as large as the chip's, and as a list. */
function memoryPanel(key, title) {
  const total = make("b", { "data-role": `${key}-total` });
  const limit = make("span", { "data-role": `${key}-limit` });
  const heading = make("p", { class: "kpw-memory-title" }, make("span", { class: "kpw-title" }, title), " ", total, " of ", limit);
  const labels = make("div", { class: "kpw-labels" });
  const boxes = make("div", { class: "kpw-boxes" });
  const bar = make("div", { class: "kpw-stack" });
  const line = make("div", { class: "kpw-limit" });
  const scale = make("p", { class: "kpw-muted kpw-scale", "data-role": `${key}-scale` });
  const list = make("ul", { class: "kpw-parts", "aria-label": `${title}, part by part` });
  const drawing = make("div", { class: "kpw-drawing", "aria-hidden": "true" }, labels, make("div", { class: "kpw-track" }, bar, boxes, line));
  const node = make("div", { role: "group", class: `kpw-panel kpw-memory kpw-${key}`, "aria-label": title }, heading, drawing, scale, list);
  const segments = [0, 1, 2, 3].map((k) => {
    const segment = make("span", { class: `kpw-segment kpw-part-${k}` });
    const label = make("span");
    const name = make("span", { class: "kpw-part-name" });
    const what = make("span", { class: "kpw-muted kpw-what" });
    const terms = make("span", { class: "kpw-muted kpw-terms" });
    const numbers = make("span", { class: "kpw-numbers" });
    const bytes = make("b", { class: "kpw-bytes" });
    const swatch = make("span", { class: `kpw-swatch kpw-part-${k}`, "aria-hidden": "true" });
    const row = make("li", {}, swatch, name, what, terms, numbers, bytes);
    bar.append(segment);
    labels.append(label);
    list.append(row);
    return { segment, label, name, what, terms, numbers, bytes, row };
  });

  let drawn = [];
  /** A label stands above its segment if there is room for it. */
  const fitLabels = () => {
    const width = bar.clientWidth;
    drawn.forEach(({ label, share, words }) => {
      label.style.width = `${100 * share}%`;
      label.classList.toggle("kpw-unseen", share * width < 0.58 * words.length * 15);
    });
  };
  const update = (parts, unknown, room, net) => {
    const used = bytesOf(parts);
    const chips = barLength(used / room);
    const count = Math.min(chips, MOST_BOXES);
    total.textContent = unknown ? "\u2013" : sizeText(used);
    limit.textContent = limitText(room);
    boxes.replaceChildren(...Array.from({ length: count }, () => make("span")));
    line.style.left = `${100 / chips}%`;
    const [whose, what] = [chips / count, title === "Flash" ? "flash" : title];
    const chip = whose === 1 ? "one chip\u2019s" : `${grouped(whose)} chips\u2019`;
    scale.textContent = `${chips === 1 ? "The" : "Each"} box: ${chip} ${what}, ${limitText(room * whose)}.`;
    drawn = segments.map((view, k) => {
      const { segment, label, name, what, terms, numbers, bytes, row } = view;
      const part = parts[k];
      const share = part.bytes / room / chips;
      segment.style.width = `${100 * share}%`;
      row.dataset.part = part.name;
      label.replaceChildren(...nameOf(part.name));
      name.replaceChildren(...nameOf(part.name));
      what.textContent = explain(part.name, net);
      terms.textContent = unknown ? "" : formula(part);
      numbers.textContent = unknown ? "\u2013" : grouped(part.numbers);
      bytes.textContent = unknown ? "\u2013" : sizeText(part.bytes);
      return { label, share, words: NAMES[part.name].join("") };
    });
    fitLabels();
  };
  return { node, update, fitLabels };
}

/** A field for a whole number of bytes or of anything else; what is none is marked and not taken. */
function numberField(id, label, largest, onChange, { unit = 1 } = {}) {
  const whole = unit === 1;
  const least = whole ? 1 : 0;
  const input = make("input", {
    type: "number", id, min: least, max: largest / unit, step: whole ? 1 : "any", inputmode: "decimal",
    title: whole ? `A whole number from 1 to ${grouped(largest)}` : `More than 0, at most ${grouped(largest / unit)}`,
  });
  let current = 1;
  let beforeTyping = 1;
  const entered = () => {
    const value = Math.round(Number(input.value) * unit);
    const good = input.value !== "" && value >= 1 && value <= largest;
    return good && (!whole || Number.isInteger(Number(input.value))) ? value : null;
  };
  input.addEventListener("focus", () => (beforeTyping = current));
  input.addEventListener("input", () => {
    const value = entered();
    input.setAttribute("aria-invalid", value === null);
    if (value !== null) onChange(value);
  });
  input.addEventListener("change", () => {
    // 4097 is refused: then 118 comes back that stood there, not the 409 that was on the way to it.
    beforeTyping = entered() ?? beforeTyping;
    onChange(beforeTyping);
    input.value = beforeTyping / unit;
    input.setAttribute("aria-invalid", false);
  });
  const node = make("div", { class: "kpw-field" }, make("label", { for: id }, label), input);
  const set = (value) => {
    current = value;
    if (Math.round(Number(input.value) * unit) !== value || input.value === "") input.value = value / unit;
    input.setAttribute("aria-invalid", false);
  };
  return { node, set };
}

function choice(id, label, options, onChange) {
  const input = make("select", { id }, ...options.map(([value, text, attributes = {}]) => make("option", { value, ...attributes }, text)));
  input.addEventListener("change", () => onChange(input.value));
  const node = make("div", { class: "kpw-field" }, make("label", { for: id }, label), input);
  return { node, set: (value) => (input.value = value) };
}

function slider(id, label, max, onInput) {
  const input = make("input", { type: "range", id, min: 1, max, step: 1, "aria-label": label });
  input.addEventListener("input", () => onInput(Number(input.value)));
  return input;
}

const SIZES = ["cell", "input_size", "hidden_size", "classes", "directions", "steps"];
const TRAITS = [...SIZES, "storage", "rank", "bits", "flash_bytes", "ram_bytes"];
const OWN = "own";
const SLIDER_MAX = 256; // hidden units; the field beside it takes more

const read = (model) => {
  const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  return { ...state, cellName: state.cell, cell: model.get("cells")[state.cell] };
};

/** The chosen one of a list of ready-made settings, by what the model holds. */
const matching = (list, model, keys) =>
  list.find((entry) => keys.every((key) => entry[key] === model.get(key)))?.name ?? OWN;

function networkPanel(id, model, set) {
  const largest = model.get("largest_size");
  const benchmarks = model.get("benchmarks");
  const start = choice(
    `${id}-start`, "Network",
    [...benchmarks.map(({ name, title }) => [name, title]), [OWN, "sizes of your own", { disabled: "" }]],
    (name) => {
      const entry = benchmarks.find((one) => one.name === name);
      set(Object.fromEntries(SIZES.map((key) => [key, entry[key]])));
    },
  );
  const cells = Object.entries(model.get("cells"));
  const cell = choice(`${id}-cell`, "Cell", cells.map(([name, entry]) => [name, entry.title]), (value) => set({ cell: value }));
  const directions = choice(
    `${id}-directions`, "Reads", [[1, "forwards"], [2, "both ways"]], (value) => set({ directions: Number(value) }),
  );
  const field = (name, label) => numberField(`${id}-${name}`, label, largest, (value) => set({ [name]: value }));
  const fields = { input_size: field("input_size", "Inputs a step"), steps: field("steps", "Steps"), classes: field("classes", "Classes") };
  const node = make(
    "div", { role: "group", class: "kpw-panel", "aria-label": "The network" },
    make("div", { class: "kpw-fields" }, start.node, cell.node, directions.node, fields.input_size.node, fields.steps.node, fields.classes.node),
  );
  const update = (net) => {
    start.set(matching(benchmarks, model, SIZES));
    cell.set(net.cellName);
    directions.set(net.directions);
    for (const [name, one] of Object.entries(fields)) one.set(net[name]);
  };
  return { node, update };
}

/** What the reader turns while looking at the bars: hidden size and storage. */
function dialsPanel(id, model, set) {
  const take = (value) => set({ hidden_size: value });
  const hidden = numberField(`${id}-hidden`, "Hidden units", model.get("largest_size"), take);
  const range = slider(`${id}-hidden-slider`, "Hidden units, slider", SLIDER_MAX, take);
  const storage = radios(
    `${id}-storage`, "Gate matrices",
    [["dense", "dense"], ["kronecker", "Kronecker"], ["low_rank", "low rank"]],
    (value) => set({ storage: value }),
  );
  const bits = radios(`${id}-bits`, "Bits a weight", [["32", "32"], ["16", "16"], ["8", "8"]], (value) => set({ bits: Number(value) }));
  const shown = make("output", { for: `${id}-rank`, "data-role": "rank" });
  const rank = slider(`${id}-rank`, "Rank", 1, (value) => set({ rank: value }));
  const gate = make("p", { class: "kpw-muted kpw-gate", "data-role": "gate" });
  const room = make("div", { class: "kpw-room" });
  reserve(room, gate, [`Each gate: 1,024 ${TIMES} 64 ${KRON} 64 ${TIMES} 1,024, 1,234,567 of 12,345,678 numbers.`]);
  const node = make(
    "div", { role: "group", class: "kpw-panel kpw-dials", "aria-label": "Its size and storage" },
    make("div", { class: "kpw-slide" }, hidden.node, range),
    storage.node,
    bits.node,
    make("div", { class: "kpw-slide kpw-rank" }, make("span", {}, "Rank ", shown), rank),
    room,
  );
  const update = (net, shape) => {
    hidden.set(net.hidden_size);
    range.value = Math.min(net.hidden_size, SLIDER_MAX);
    range.setAttribute("aria-valuetext", String(net.hidden_size));
    storage.set(net.storage);
    bits.set(String(net.bits));
    rank.max = maxRank(net);
    rank.value = net.rank;
    rank.disabled = net.storage !== "low_rank";
    shown.textContent = net.storage === "low_rank" ? `${grouped(net.rank)} of ${grouped(maxRank(net))}` : "";
    gate.textContent = gateWords(net, shape);
  };
  return { node, update };
}

const MOST_BYTES = 2 ** 30;

function chipPanel(id, model, set) {
  const devices = model.get("devices");
  const device = choice(
    `${id}-device`, "Chip",
    [...devices.map(({ name, title, core }) => [name, `${title}, ${core}`]), [OWN, "numbers of your own", { disabled: "" }]],
    (name) => {
      const { flash_bytes, ram_bytes } = devices.find((one) => one.name === name);
      set({ flash_bytes, ram_bytes });
    },
  );
  const memory = (key, label) => numberField(`${id}-${key}`, label, MOST_BYTES, (value) => set({ [key]: value }), { unit: 1024 });
  const flash = memory("flash_bytes", "Flash, KB");
  const ram = memory("ram_bytes", "RAM, KB");
  const node = make(
    "div", { role: "group", class: "kpw-panel", "aria-label": "The chip" },
    make("div", { class: "kpw-fields kpw-chip" }, device.node, flash.node, ram.node),
  );
  const update = (net) => {
    device.set(matching(devices, model, ["flash_bytes", "ram_bytes"]));
    flash.set(net.flash_bytes);
    ram.set(net.ram_bytes);
  };
  return { node, update };
}

/** Hidden sizes to try: the largest that fits, and with factors their neighbours. */
function suggestions(set) {
  const button = (role, words) => {
    const node = make("button", { type: "button", "data-role": role });
    node.addEventListener("click", () => {
      if (node.getAttribute("aria-disabled") !== "true") set({ hidden_size: Number(node.value) });
    });
    const put = (size, now) => {
      node.value = size;
      node.textContent = size ? grouped(size) : "\u2013";
      node.setAttribute("aria-label", `${grouped(size)}, ${words}`);
      // aria-disabled and not disabled: a button must not lose the focus under the reader's finger.
      node.setAttribute("aria-disabled", size === 0 || size === now);
    };
    return { node, put };
  };
  const largest = button("largest", "the largest hidden size that fits");
  const below = button("below", "the next smaller hidden size with factors");
  const above = button("above", "the next larger hidden size with factors");
  const neighbours = make("span", { class: "kpw-neighbours" }, "Sizes with factors", below.node, above.node);
  const node = make(
    "div", { class: "kpw-picks kpw-controls", role: "group", "aria-label": "Hidden sizes to try" },
    make("span", {}, "Largest hidden size that fits", largest.node), neighbours,
  );
  const update = (net, hidden, most) => {
    const [lower, upper] = nearestHiddenSizes(net);
    largest.put(hidden, net.hidden_size);
    below.put(lower, net.hidden_size);
    above.put(upper > most ? 0 : upper, net.hidden_size);
    neighbours.classList.toggle("kpw-unseen", net.storage !== "kronecker");
  };
  return { node, update };
}

const COUNTED =
  "The thick line: where the chip\u2019s own memory ends. Counted: one recurrent layer and its head. Weights are read from flash; the bits are those of the " +
  "recurrent layer, the head stays at 32, as in the papers. FastRNN\u2019s biases count, which the papers leave " +
  "out. RAM is float32: one step of the input (reading both ways needs all steps), the state, the gates " +
  "(whose place the logits take at the end) and what lies between two factors; two directions run one " +
  "after the other and share all but h. Not counted: program, stack, any framework. 1 KB = 1,024 B.";

/** The settings in words, for paper, where no control is shown. */
function onPaper(net) {
  const stored = { dense: "dense", kronecker: "Kronecker factors", low_rank: `rank ${net.rank}` };
  return (
    `${net.cell.title} of ${plural(net.hidden_size, "hidden unit")}, read ` +
    `${net.directions === 2 ? "both ways" : "forwards"}: ${plural(net.input_size, "input")} a step, ` +
    `${plural(net.steps, "step")}, ${plural(net.classes, "class", "classes")}. Gate matrices: ` +
    `${stored[net.storage]}, ${net.bits} bits a weight.`
  );
}

function render({ model, el }) {
  const id = uniqueId("budget");
  const most = model.get("largest_size");
  // The rank that was asked for. On the way to 118 hidden units a reader types 1 and 11: the rank
  // comes down with them, and comes back.
  let wantedRank = model.get("rank");
  let ownChange = false;
  const set = (changes) => {
    const next = { ...read(model), ...changes };
    const cell = model.get("cells")[changes.cell ?? model.get("cell")];
    wantedRank = changes.rank ?? wantedRank;
    const rank = Math.min(wantedRank, maxRank({ ...next, cell }));
    ownChange = true;
    setAll(model, { ...changes, ...(rank !== model.get("rank") && { rank }) });
    ownChange = false;
  };
  const network = networkPanel(id, model, set);
  const dials = dialsPanel(id, model, set);
  const chip = chipPanel(id, model, set);
  const suggested = suggestions(set);
  const flash = memoryPanel("flash", "Flash");
  const ram = memoryPanel("RAM", "RAM");
  const words = make("p", { class: "kpw-verdict", "aria-live": "polite", "data-role": "words" });
  const room = make("div", { class: "kpw-room" });
  reserve(room, words, LONGEST);
  const settings = make("p", { class: "kpw-on-paper", "data-role": "settings" });
  const multiplications = make("b", { "data-role": "multiplications" });
  const dense = make("span", { "data-role": "dense-multiplications" });

  const update = () => {
    const net = read(model);
    net.rank = Math.min(net.rank, maxRank(net));
    const found = footprint(net);
    // Without factors there is nothing to draw: the names stay, the numbers go.
    const unknown = found === null;
    const whole = footprint({ ...net, storage: "dense" });
    const empty = (parts, names) => parts.map((part, k) => ({ ...part, name: names[k] ?? part.name, bytes: 0 }));
    const parts = found ?? { flash: empty(whole.flash, ["A", "B"]), ram: empty(whole.ram, []), shape: null };
    const largest = largestHiddenSize(net, net, most);
    root.dataset.storage = net.storage;
    settings.textContent = onPaper(net);
    network.update(net);
    dials.update(net, parts.shape);
    chip.update(net);
    flash.update(parts.flash, unknown, net.flash_bytes, net);
    ram.update(parts.ram, unknown, net.ram_bytes, net);
    suggested.update(net, largest, most);
    multiplications.textContent = unknown ? "\u2013" : grouped(found.multiplications);
    dense.textContent = grouped(whole.multiplications);
    words.textContent = unknown
      ? noFactors(net)
      : verdict(bytesOf(found.flash) / net.flash_bytes, bytesOf(found.ram) / net.ram_bytes);
    const over = unknown || bytesOf(found.flash) > net.flash_bytes || bytesOf(found.ram) > net.ram_bytes;
    words.classList.toggle("kpw-over", over);
  };

  const root = make(
    "figure",
    { class: "kpw kpw-budget", tabindex: "-1", "aria-labelledby": `${id}-caption` },
    make("figcaption", { class: "kpw-question", id: `${id}-caption` }, QUESTION),
    make("div", { class: "kpw-inputs" }, network.node, chip.node, dials.node),
    settings,
    room,
    suggested.node,
    make("div", { class: "kpw-memories" }, flash.node, ram.node),
    make(
      "p", { class: "kpw-multiplications" },
      "Multiplications a step, in the gate matrices: ", make("span", {}, multiplications, " (dense: ", dense, ")"),
    ),
    make("p", { class: "kpw-muted kpw-counted" }, COUNTED),
  );
  const observer = new ResizeObserver(() => [flash, ram].forEach((panel) => panel.fitLabels()));
  // Several traits that change at once are drawn once.
  let waiting = false;
  const onChange = () => {
    if (!ownChange) wantedRank = model.get("rank");
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      update();
    });
  };
  TRAITS.forEach((name) => model.on(`change:${name}`, onChange));
  keepKeys(root);
  el.append(root);
  update();
  observer.observe(root);

  return () => {
    observer.disconnect();
    TRAITS.forEach((name) => model.off(`change:${name}`, onChange));
  };
}

export default { render };
