// Drawing one panel: the bars in sight as plotly traces, and the frame around them.

const CONFIG = { staticPlot: true, responsive: false, displayModeBar: false };
const CANDLE = 5; // pixels a candle needs
const DOTS = 40; // bars up to which each is a dot

function frameOf(panel) {
  const narrow = panel.width < 560;
  return { left: narrow ? 50 : 66, right: narrow ? 8 : 14, top: 8, bottom: 40 };
}

function sized(panel) {
  panel.width = panel.plot.clientWidth;
  panel.tall = panel.plot.clientHeight;
  panel.frame = frameOf(panel);
  panel.columns = Math.max(20, Math.floor(panel.width - panel.frame.left - panel.frame.right));
}

function draw(panel) {
  if (!panel.ready) {
    prepare(panel);
    return;
  }
  sized(panel);
  if (!panel.plot.clientWidth) return;
  panel.stale = false;
  const { from, to } = inSight();
  const traces = [];
  const range = { low: Infinity, high: -Infinity };
  if (panel.bars) priceTraces(panel, from, to, traces, range);
  const strokes = [];
  for (const one of visibleLines(panel)) lineTraces(panel, one, from, to, { bands: traces, strokes }, range);
  panel.points = panel.marks ? panel.marks(panel, panel.columns) : [];
  for (const point of panel.points) widen(range, point.y, point.y);
  panel.range = settled(panel, range);
  traces.push(...strokes, ...markTraces(panel.points));
  Plotly.react(panel.plot, traces, layoutOf(panel), CONFIG);
  overlay(panel);
}

// Decode what the panel needs, then draw it.
function prepare(panel) {
  if (panel.asked) return;
  panel.asked = true;
  const names = [...panel.lines.map((one) => one.array), ...(panel.more || [])];
  loadAll(names).then(() => {
    panel.ready = true;
    panel.stale = true;
    if (panel.most) keepLargest(panel);
    if (panel.quiet) hush(panel);
    drawSoon();
  });
}

const visibleLines = (panel) =>
  panel.lines.filter((one) => (one.scenario === undefined || shown(one.scenario)) && values(one.array) && !one.left);

function peak(array) {
  let most = 0;
  for (let i = 0; i < array.length; i += 1) if (array[i] > most && array[i] < Infinity) most = array[i];
  return most;
}

function keepLargest(panel) {
  const order = panel.lines.map((one) => [peak(values(one.array) || []), one]).sort((a, b) => b[0] - a[0]);
  order.forEach(([, one], rank) => Object.assign(one, { left: rank >= panel.most, tone: rank + 2, dash: rank }));
  panel.lines = order.map(([, one]) => one).filter((one) => !one.left);
  const left = order.length - panel.lines.length;
  if (left) panel.note.textContent = `The ${panel.most} pools that held most margin; ${left} others are left out.`;
  legend(panel);
}

// A cost nobody paid is a sentence, not a chart.
function hush(panel) {
  const paid = panel.lines.some((one) => (values(one.array) || []).some((value) => value));
  panel.box.classList.toggle('nothing', !paid);
  if (!paid) panel.note.textContent = 'None in any scenario.';
}

// ---- traces

function widen(range, low, high) {
  if (low < range.low) range.low = low;
  if (high > range.high) range.high = high;
}

function extent(array, range) {
  for (let i = 0; i < array.length; i += 1) if (array[i] - array[i] === 0) widen(range, array[i], array[i]);
}

function lineTraces(panel, one, from, to, out, range) {
  const data = envelope(values(one.array), from, to, panel.columns, one.take);
  const colour = one.ink ? THEME.ink : THEME.tones[one.tone % TONES];
  if (!one.follow) {
    extent(data.low || data.y, range);
    extent(data.high || data.y, range);
  }
  if (data.reduced && one.band) out.bands.push(band(data, faint(colour, 0.2)));
  if (one.ink && panel.candles) return;
  const { x, y } = one.follow ? parted(data, values(one.size)) : data;
  out.strokes.push({
    type: 'scatter', mode: to - from <= DOTS ? 'lines+markers' : 'lines', x, y, hoverinfo: 'skip',
    line: { color: colour, width: one.width, dash: dashOf(one.dash), shape: one.step && !data.reduced ? 'hv' : 'linear' },
    marker: { size: 4, color: colour }, connectgaps: false,
  });
}

// A liquidation price in stretches: where the position turns round, no line joins one side to the other.
function parted(data, size) {
  const x = [];
  const y = [];
  for (let i = 0; i < data.x.length; i += 1) {
    if (i && size && size[data.at[i]] * size[data.at[i - 1]] < 0) {
      x.push(data.x[i], data.x[i]);
      y.push(data.y[i - 1], NaN);
    }
    x.push(data.x[i]);
    y.push(data.y[i]);
  }
  return { x, y };
}

const dashOf = (dash) => DASHES[dash % TONES].split(' ').filter(Boolean).map((part) => part + 'px').join(',') || 'solid';

// From the lowest to the highest of each column, one polygon for each stretch without gaps.
function band(data, colour) {
  const x = [];
  const y = [];
  let start = 0;
  const close = (end) => {
    if (end > start) {
      for (let i = start; i < end; i += 1) x.push(data.x[i]), y.push(data.high[i]);
      for (let i = end - 1; i >= start; i -= 1) x.push(data.x[i]), y.push(data.low[i]);
      x.push(null), y.push(null);
    }
    start = end + 1;
  };
  for (let i = 0; i < data.x.length; i += 1) if (Number.isNaN(data.low[i])) close(i);
  close(data.x.length);
  return { type: 'scatter', mode: 'lines', x, y, fill: 'toself', fillcolor: colour, line: { width: 0 }, hoverinfo: 'skip' };
}

// Candles where there is room for them, else the band from low to high with the close.
function priceTraces(panel, from, to, traces, range) {
  const [open, high, low, close] = ['open', 'high', 'low', 'close'].map((name) => values(`y${panel.symbol}.${name}`));
  panel.candles = false;
  if (!open || !close) return;
  panel.candles = to - from > 1 && (to - from) * CANDLE <= panel.columns;
  if (panel.candles) {
    extent(low.subarray(from, to), range);
    extent(high.subarray(from, to), range);
    traces.push(candles(clock.subarray(from, to), [open, high, low, close].map((one) => one.subarray(from, to))));
    return;
  }
  const lows = envelope(low, from, to, panel.columns, 'low');
  const highs = envelope(high, from, to, panel.columns, 'high');
  extent(lows.y, range);
  extent(highs.y, range);
  traces.push(band({ x: lows.x, low: lows.y, high: highs.y }, faint(THEME.ink, 0.16)));
}

// Hollow when the price rose, filled when it fell.
function candles(x, [open, high, low, close]) {
  return {
    type: 'candlestick', x, open, high, low, close, hoverinfo: 'skip', whiskerwidth: 0,
    increasing: { line: { color: THEME.soft, width: 1 }, fillcolor: THEME.page },
    decreasing: { line: { color: THEME.soft, width: 1 }, fillcolor: THEME.soft },
  };
}

// ---- frame

// The range of values: what is drawn and some air; a liquidation price only as far as it is near.
function settled(panel, range) {
  let { low, high } = range;
  if (!(low <= high)) [low, high] = [0, 1];
  if (panel.bars) [low, high] = followed(panel, low, high);
  if (panel.limits) [low, high] = [0, Math.max(1.08, Math.min(high, 1.6))];
  if (panel.log) return logged(low, high);
  low = Math.min(low, panel.bottom ?? low);
  high = Math.max(high, panel.top ?? high);
  const air = (high - low) * 0.06 || Math.abs(high) * 0.05 || (panel.kind === 'percent' ? 0.01 : 1);
  return {
    low: panel.bottom === undefined || panel.limits ? low - (panel.limits ? 0 : air) : panel.bottom,
    high: panel.top === undefined ? high + (panel.limits ? 0 : air) : panel.top + air / 4,
  };
}

function logged(low, high) {
  const top = Math.log10(high > 0 ? high : 1);
  const floor = Math.log10(low > 0 ? low : Math.max(high, 1) / 1e4);
  const air = (top - floor) * 0.06 || 0.02;
  return { low: floor - air, high: top + air };
}

function followed(panel, low, high) {
  const { from, to } = inSight();
  const reach = (high - low) * 0.5 || Math.abs(high) * 0.1;
  const range = { low, high };
  for (const one of visibleLines(panel).filter((each) => each.follow)) {
    for (const value of envelope(values(one.array), from, to, 400, 'last').y) {
      if (value > low - reach && value < high + reach) widen(range, value, value);
    }
  }
  return [range.low, range.high];
}

const TICKS = { money: ',.10~f', price: ',.10~f', percent: '~%', times: ',.4~f' };

function axis(extra) {
  return { gridcolor: THEME.line, linecolor: THEME.line, tickcolor: THEME.line, zeroline: false, fixedrange: true, ...extra };
}

function layoutOf(panel) {
  const { left, right, top, bottom } = panel.frame;
  return {
    width: panel.width, height: panel.tall, margin: { l: left, r: right, t: top, b: bottom, pad: 0 }, autosize: false,
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', showlegend: false, hovermode: false,
    font: { size: panel.width < 560 ? 10 : 11.5, color: THEME.soft, family: 'system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif' },
    xaxis: axis({ type: 'date', range: [view.low, view.high], nticks: Math.max(3, Math.floor(panel.width / 120)), rangeslider: { visible: false }, hoverformat: '' }),
    yaxis: axis({
      type: panel.log ? 'log' : 'linear', range: [panel.range.low, panel.range.high], tickformat: TICKS[panel.kind], ticksuffix: panel.kind === 'times' ? '×' : '',
      nticks: Math.max(3, Math.floor(panel.tall / 46)), exponentformat: 'none',
    }),
    shapes: panel.limits ? limits() : [],
    annotations: panel.limits ? limits().map(limitLabel) : [],
  };
}

const LIMITS = () => [1, ...META.thresholds.filter((value) => value > 0 && value < 1)];

function limits() {
  return LIMITS().map((value) => ({
    type: 'line', xref: 'paper', x0: 0, x1: 1, yref: 'y', y0: value, y1: value, layer: 'below',
    line: { color: value === 1 ? THEME.warn : THEME.soft, width: value === 1 ? 1.6 : 1, dash: value === 1 ? 'solid' : 'dot' },
  }));
}

function limitLabel(shape) {
  const text = shape.y0 === 1 ? 'liquidation 100 %' : `margin call ${Number((shape.y0 * 100).toFixed(2))} %`;
  return { xref: 'paper', x: 0.004, xanchor: 'left', yref: 'y', y: shape.y0, yanchor: 'bottom', text, showarrow: false, font: { size: 10.5, color: shape.line.color } };
}
