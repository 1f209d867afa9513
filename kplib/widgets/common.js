// What every widget here needs: words, elements, choices, factors. It stands in front of each widget's own
// text, in one module (see assets.py), because a page can load nothing else.

const MINUS = "\u2212";
const DOT = "\u00b7";
const TIMES = "\u00d7";
const KRON = "\u2297";

/** A prefix for the ids of one view. Each widget has a copy of this module: the page counts. */
function uniqueId(name) {
  document.kpwViews = (document.kpwViews ?? 0) + 1;
  return `kpw-${name}-${document.kpwViews}`;
}

const plural = (count, word, many = `${word}s`) => `${grouped(count)} ${count === 1 ? word : many}`;
const numberFormat = new Intl.NumberFormat("en-US"); // made once: toLocaleString is slow
/** 15104 as 15,104, in every reader's language: as the text around it has it. */
const grouped = (count) => numberFormat.format(count);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** The same for a drawing; a child that is a string becomes text. */
function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** A group of radio buttons; `choices` are [value, label]. */
function radios(id, legend, choices, onChoose) {
  const inputs = choices.map(([value]) =>
    make("input", { type: "radio", name: id, value, id: `${id}-${value}` }),
  );
  inputs.forEach((input) => input.addEventListener("change", () => onChoose(input.value)));
  const labels = choices.map(([, label], k) =>
    make("label", { for: inputs[k].id }, inputs[k], make("span", {}, label)),
  );
  const node = make("fieldset", {}, make("legend", {}, legend), ...labels);
  return { node, set: (value) => inputs.forEach((input) => (input.checked = input.value === value)) };
}

/** Change several traits of the model at once, here and in Python. */
function setAll(model, changes) {
  for (const [key, value] of Object.entries(changes)) model.set(key, value);
  model.save_changes();
}

/** A row that scrolls must be reachable by keyboard; one that does not should be no tab stop. */
function watchScroll(root) {
  root.querySelectorAll(".kpw-scroll").forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  keepKeys(root);
}

/** JupyterLab asks the focused element itself: without this, d d on a button here deletes a cell. */
function keepKeys(root) {
  const focusable = root.querySelectorAll("button, input, select, [tabindex]");
  for (const node of [root, ...focusable]) node.dataset.lmSuppressShortcuts = "true";
}

/** Put `words` into `room`, which becomes as high as the highest of all `texts`: nothing jumps. */
function reserve(room, words, texts) {
  const unseen = [...new Set(texts)].map((text) =>
    make("div", { class: `${words.className} kpw-unseen`, "aria-hidden": "true" }, text),
  );
  room.replaceChildren(words, ...unseen);
}

// kplib.shapes, as far as more than one widget needs it; a test compares them.

export function primeFactors(k) {
  const factors = [];
  for (let divisor = 2; divisor * divisor <= k; divisor++) {
    for (; k % divisor === 0; k /= divisor) factors.push(divisor);
  }
  return k > 1 ? [...factors, k] : factors;
}

const isComposite = (k) => primeFactors(k).length >= 2;

/** Algorithm 4's split of a composite number, ascending. */
function twoFactors(k) {
  const factors = primeFactors(k);
  while (factors.length > 2) {
    const smallest = factors.shift();
    factors[0] *= smallest;
    factors.sort((a, b) => a - b);
  }
  return factors;
}

/** The papers' choice as [m1, n1, m2, n2]; null for a prime or 1. */
export function algorithm4(m, n) {
  if (!isComposite(m) || !isComposite(n)) return null;
  const [[m2, m1], [n1, n2]] = [twoFactors(m), twoFactors(n)];
  return [m1, n1, m2, n2];
}
