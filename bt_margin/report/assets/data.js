// The embedded arrays: each is decoded when it is first needed, once, and kept as a typed array.

const held = new Map();
const coming = new Map();
const scales = new Map();

function has(name) {
  return $('array:' + name) !== null;
}

// Values of an array when they are there already, else null.
function values(name) {
  return held.get(name) || null;
}

function load(name) {
  if (!coming.has(name)) {
    coming.set(name, decode(name).then((array) => held.set(name, array).get(name)));
  }
  return coming.get(name);
}

function loadAll(names) {
  return Promise.all(names.filter(has).map(load));
}

function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) out[i] = raw.charCodeAt(i);
  return out;
}

async function inflated(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).arrayBuffer();
}

// The format is told in report/encode.py: codes in byte planes, each a distance from a prediction.
async function decode(name) {
  const coded = JSON.parse($('array:' + name).textContent);
  const others = await Promise.all((coded.of || []).map(load));
  const raw = coded.n ? await inflated(coded.data) : new ArrayBuffer(0);
  if (coded.kind === 'float') return new Float64Array(raw);
  scales.set(name, 10 ** coded.digits);
  const wholes = others.map((other, k) => inUnits(other, coded, scales.get(coded.of[k])));
  return undone(coded, new Uint8Array(raw), PREDICTIONS[coded.how](coded, wholes));
}

// Whole numbers of another array in units of this one; a fall has no use for its own.
function inUnits(other, coded, scale) {
  const more = coded.how === 'fall' ? 1 : Math.round(10 ** coded.digits / scale);
  return other.map((value) => Math.round(value * scale) * more);
}

// Each gives a function of the place that says the prediction; NaN where there is none.
const PREDICTIONS = {
  last: () => null,
  before: (coded, [other]) => (k) => (k ? other[k - 1] : NaN),
  same: (coded, [other]) => (k) => other[k],
  max: (coded, [one, two]) => (k) => Math.max(one[k], two[k]),
  min: (coded, [one, two]) => (k) => Math.min(one[k], two[k]),
  fall(coded, [equity]) {
    const unit = 10 ** coded.digits;
    let high = -Infinity;
    return (k) => {
      if (equity[k] > high && equity[k] < Infinity) high = equity[k];
      return high > 0 ? Math.floor((equity[k] / high - 1) * unit + 0.5) : NaN;
    };
  },
};

function undone(coded, raw, predict) {
  const { n, width, start } = coded;
  const scale = 10 ** coded.digits;
  const out = new Float64Array(n);
  let last = start;
  for (let k = 0; k < n; k += 1) {
    let code = 0;
    for (let plane = width - 1; plane >= 0; plane -= 1) code = code * 256 + raw[plane * n + k];
    let guess = predict ? predict(k) : last;
    if (guess - guess !== 0) guess = start;
    const z = code - 3;
    if (z < 0) out[k] = code === 0 ? NaN : code === 1 ? Infinity : -Infinity;
    else {
      last = guess + (z % 2 === 0 ? z / 2 : -(z + 1) / 2);
      out[k] = last / scale;
    }
  }
  return out;
}

// The clock, and the bars a span of time shows.

let clock = new Float64Array(0);
let step = 3600000;

function setClock(array) {
  clock = Float64Array.from(array, Number);
  const gaps = [];
  for (let i = 1; i < Math.min(clock.length, 1000); i += 1) gaps.push(clock[i] - clock[i - 1]);
  gaps.sort((a, b) => a - b);
  if (gaps.length) step = gaps[gaps.length >> 1] || step;
}

// The first bar at or after a time.
function place(time) {
  let low = 0;
  let high = clock.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (clock[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The bar nearest to a time; -1 where there are no bars.
function nearest(time) {
  const after = Math.min(place(time), clock.length - 1);
  return after > 0 && time - clock[after - 1] < clock[after] - time ? after - 1 : after;
}

// The bar a moment falls into: the last one that does not begin later.
function barOf(time) {
  const at = place(time);
  return at < clock.length && clock[at] === time ? at : Math.max(0, at - 1);
}

// What a span of bars looks like in so many columns: a line of the last (or lowest, or highest) value of
// each column, and a band from its lowest to its highest. Short spans are given bar by bar, without band.
function envelope(array, from, to, columns, take) {
  const count = to - from;
  const reduced = count > 2 * columns;
  const size = reduced ? columns : count;
  const out = { x: new Float64Array(size), y: new Float64Array(size), at: new Int32Array(size), low: null, high: null, reduced };
  if (!reduced) {
    for (let i = 0; i < count; i += 1) {
      out.at[i] = from + i;
      out.x[i] = clock[from + i];
      out.y[i] = Number.isFinite(array[from + i]) ? array[from + i] : NaN;
    }
    return out;
  }
  out.low = new Float64Array(size);
  out.high = new Float64Array(size);
  for (let column = 0; column < size; column += 1) {
    const start = from + Math.floor((column * count) / size);
    const end = from + Math.floor(((column + 1) * count) / size);
    squeeze(array, start, end, column, out, take);
  }
  return out;
}

function squeeze(array, start, end, column, out, take) {
  let low = Infinity;
  let high = -Infinity;
  let last = NaN;
  let at = end - 1;
  for (let i = start; i < end; i += 1) {
    const value = array[i];
    if (value - value === 0) {
      if (value < low) low = value;
      if (value > high) high = value;
      last = value;
      at = i;
    }
  }
  const any = low <= high;
  out.at[column] = at;
  out.x[column] = clock[end - 1];
  out.low[column] = any ? low : NaN;
  out.high[column] = any ? high : NaN;
  out.y[column] = !any ? NaN : take === 'low' ? low : take === 'high' ? high : last;
}
