// What is drawn where: every panel with its lines, its unit, its marks.

const panels = [];
const MARKERS = [];
const SCENARIOS = META.scenarios.map((scenario, index) => index);
const MOST_POOLS = 7;
const MOST_SYMBOLS = 4;
const MOST_FILLS = 160; // in one chart; more are drawn when zoomed in

const nameOf = (scenario) => META.scenarios[scenario].name;

function line(array, label, tone, extra = {}) {
  return { array, label, tone, dash: tone, take: 'last', band: true, width: 1.6, ...extra };
}

// One line per scenario of the same quantity.
function perScenario(field, extra = {}) {
  return SCENARIOS.map((i) => line(`s${i}.${field}`, nameOf(i), i, { scenario: i, ...extra }));
}

function equityPanels() {
  return [
    { group: 'equity', id: 'equity', title: 'Equity', unit: META.currency, kind: 'money', height: 340, wide: true, lines: perScenario('equity'), marks: equityMarks, canLog: true },
    { group: 'equity', id: 'drawdown', title: 'Drawdown', unit: 'from the highest equity so far', kind: 'percent', height: 190, wide: true, lines: perScenario('drawdown', { take: 'low' }), top: 0 },
  ];
}

function pricePanel(symbol) {
  const prefix = `y${symbol}.`;
  const lines = [line(prefix + 'close', 'close', 0, { ink: true, dash: 0, band: false, width: 1.3 })];
  for (const i of SCENARIOS) {
    lines.push(line(`s${i}.y${symbol}.liquidation`, nameOf(i), i, { scenario: i, band: false, step: true, follow: true, width: 1.8, size: `s${i}.y${symbol}.size` }));
  }
  const more = ['open', 'low', 'high', 'mark'].map((name) => prefix + name);
  for (const i of SCENARIOS) more.push(`s${i}.y${symbol}.size`, `s${i}.y${symbol}.entry`);
  return { group: 'price', id: 'price-' + symbol, symbol, title: META.symbols[symbol], unit: 'price', kind: 'price', height: 340, lines, more, marks: priceMarks, tell: tellPrice, bars: true };
}

function riskPanels() {
  const found = [
    { group: 'risk', id: 'ratio', title: 'Margin ratio', unit: 'maintenance margin in % of equity at each close, worst pool; what is liquidated inside a bar stands at 100 %', kind: 'percent', height: 260, wide: true, lines: perScenario('ratio', { take: 'high' }), bottom: 0, limits: true, marks: ratioMarks },
    { group: 'risk', id: 'leverage', title: 'Effective leverage', unit: 'notional ÷ equity', kind: 'times', height: 220, lines: perScenario('leverage', { take: 'high' }), bottom: 0 },
    { group: 'risk', id: 'margin', title: 'Margin in use', unit: META.currency, kind: 'money', height: 220, lines: perScenario('margin', { take: 'high' }), bottom: 0 },
  ];
  for (const i of SCENARIOS) if (META.scenarios[i].pools.length > 1) found.push(poolPanel(i));
  return found;
}

// Without the name of the margin mode, which the title says already.
function shortPool(scenario, pool) {
  const prefix = META.scenarios[scenario].mode + ':';
  return pool.startsWith(prefix) && pool.length > prefix.length ? pool.slice(prefix.length) : pool;
}

// The pools of one scenario; where there are many, those that held most margin are chosen when drawn.
function poolPanel(scenario) {
  const pools = META.scenarios[scenario].pools;
  const lines = pools.map((pool, k) => line(`s${scenario}.p${k}.margin`, shortPool(scenario, pool), k % TONES, { take: 'high', band: false, width: 1.4, plain: true }));
  return { group: 'risk', id: 'pools-' + scenario, title: 'Margin per pool: ' + nameOf(scenario), unit: META.currency, kind: 'money', height: 220, lines, bottom: 0, scenario, most: MOST_POOLS };
}

function costPanels() {
  const what = [['funding', 'Funding'], ['fees', 'Fees'], ['interest', 'Interest'], ['liquidation', 'Liquidation costs']];
  return what.map(([field, title]) => ({ group: 'costs', id: 'cost-' + field, title, unit: `${META.currency}, cumulative; − paid, + received`, kind: 'money', height: 190, lines: perScenario(field), quiet: true }));
}

// Symbols worth a look first: liquidated ones, then traded ones.
function firstSymbols() {
  const weight = META.symbols.map(() => 0);
  for (const mark of MARKERS) weight[mark.symbol] += mark.kind === 'liquidation' ? 1e6 : 1;
  const order = META.symbols.map((_, j) => j).sort((a, b) => weight[b] - weight[a] || a - b);
  return order.slice(0, MOST_SYMBOLS);
}

// ---- marks: liquidations as crosses, fills as triangles; the second scenario's are hollow

function marksIn(pick) {
  let low = 0;
  let high = MARKERS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (MARKERS[middle].time < view.low - step) low = middle + 1;
    else high = middle;
  }
  const found = [];
  for (let k = low; k < MARKERS.length && MARKERS[k].time <= view.high; k += 1) {
    if (pick(MARKERS[k]) && shown(MARKERS[k].scenario)) found.push(MARKERS[k]);
  }
  return found;
}

function equityMarks() {
  const found = marksIn((mark) => mark.kind === 'liquidation');
  return found.map((mark) => {
    const array = values(`s${mark.scenario}.equity`);
    return { mark, x: mark.time, y: array ? array[barOf(mark.time)] : NaN };
  });
}

// A pool is liquidated where its requirement reaches its equity, also between the closes that are drawn.
function ratioMarks() {
  return marksIn((mark) => mark.kind === 'liquidation').map((mark) => ({ mark, x: mark.time, y: 1 }));
}

function priceMarks(panel, columns) {
  const found = marksIn((mark) => mark.symbol === panel.symbol);
  const room = new Set();
  const kept = found.filter((mark) => {
    if (mark.kind === 'liquidation') return true;
    const column = Math.floor(((mark.time - view.low) / (view.high - view.low)) * columns / 7);
    const key = `${column} ${mark.scenario} ${mark.size > 0}`;
    return room.has(key) ? false : room.add(key);
  });
  const fills = kept.filter((mark) => mark.kind !== 'liquidation').length;
  const crowded = fills > MOST_FILLS;
  const many = found.filter((mark) => mark.kind !== 'liquidation').length;
  panel.note.textContent = crowded ? `${number(many)} fills in sight, too many to draw: zoom in.` : '';
  return kept.filter((mark) => !crowded || mark.kind === 'liquidation').map((mark) => ({ mark, x: mark.time, y: mark.price }));
}

const SHAPES = { up: 'triangle-up', down: 'triangle-down', cross: 'x' };

// Traces of marks: by scenario and shape.
function markTraces(marks) {
  const groups = new Map();
  for (const one of marks) {
    const shape = one.mark.kind === 'liquidation' ? 'cross' : one.mark.size < 0 ? 'down' : 'up';
    const key = one.mark.scenario + ' ' + shape;
    if (!groups.has(key)) groups.set(key, { scenario: one.mark.scenario, shape, x: [], y: [] });
    groups.get(key).x.push(one.x);
    groups.get(key).y.push(one.y);
  }
  return [...groups.values()].sort((a, b) => (a.shape === 'cross') - (b.shape === 'cross')).map(markTrace);
}

function markTrace({ scenario, shape, x, y }) {
  const colour = THEME.tones[scenario % TONES];
  const cross = shape === 'cross';
  const hollow = scenario % 2 === 1;
  return {
    type: 'scatter', mode: 'markers', x, y, hoverinfo: 'skip', cliponaxis: true,
    marker: {
      symbol: SHAPES[shape], size: cross ? 13 : hollow ? 9 : 11, color: hollow ? THEME.page : colour, opacity: 1,
      line: { width: hollow ? 2 : 1, color: hollow ? colour : THEME.page },
    },
  };
}
