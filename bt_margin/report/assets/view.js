// What all charts show together: the span of time, the bar under the crosshair, the scenarios in sight.

const view = { low: 0, high: 1, bar: -1, pinned: null, mode: 'zoom', hidden: new Set(), symbols: new Set() };
const whole = { low: 0, high: 1 };
const FEWEST_BARS = 8;

function setWhole() {
  const air = clock.length > 1 ? Math.max(step / 2, (clock[clock.length - 1] - clock[0]) / 400) : step * 4;
  whole.low = (clock.length ? clock[0] : 0) - air;
  whole.high = (clock.length ? clock[clock.length - 1] : 1) + air;
  view.low = whole.low;
  view.high = whole.high;
}

// Show a span, as much of it as there is, and never less than a few bars.
function show(low, high) {
  const most = whole.high - whole.low;
  const span = Math.min(most, Math.max(high - low, Math.min(most, step * FEWEST_BARS)));
  const middle = (low + high) / 2;
  view.low = Math.min(Math.max(middle - span / 2, whole.low), whole.high - span);
  view.high = view.low + span;
  changed();
}

function zoom(factor, around) {
  const span = (view.high - view.low) * factor;
  const share = (around - view.low) / (view.high - view.low);
  show(around - span * share, around + span * (1 - share));
}

function pan(share) {
  const by = (view.high - view.low) * share;
  const allowed = Math.min(Math.max(by, whole.low - view.low), whole.high - view.high);
  show(view.low + allowed, view.high + allowed);
}

function centre() {
  const bar = view.bar >= 0 ? clock[view.bar] : NaN;
  return bar >= view.low && bar <= view.high ? bar : (view.low + view.high) / 2;
}

// The bars in sight and one more on either side, so that lines run to the edge.
function inSight() {
  return { from: Math.max(0, place(view.low) - 1), to: Math.min(clock.length, place(view.high) + 1) };
}

// The bar whose numbers are written above the charts: under the crosshair, else the last in sight.
function told() {
  if (view.bar >= 0) return view.bar;
  return Math.min(clock.length, Math.max(1, place(view.high))) - 1;
}

const shown = (scenario) => !view.hidden.has(scenario);

// ---- drawing: only panels on the screen are drawn at once, the others when they come into sight

let asked = 0;

function changed() {
  for (const panel of panels) panel.stale = true;
  drawSoon();
}

function drawSoon() {
  if (!asked) asked = requestAnimationFrame(drawSeen);
}

function drawSeen() {
  asked = 0;
  const started = performance.now();
  for (const panel of panels) if (panel.seen && panel.stale) draw(panel);
  tell();
  const { low, high } = view;
  Object.assign($('charts').dataset, { low, high, drawn: Number($('charts').dataset.drawn || 0) + 1 });
  document.dispatchEvent(new CustomEvent('drawn', { detail: performance.now() - started }));
}

const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const panel = panels.find((one) => one.box === entry.target);
      if (panel) panel.seen = entry.isIntersecting;
    }
    drawSoon();
  },
  { rootMargin: '120px 0px' },
);

const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const panel = panels.find((one) => one.plot === entry.target);
    if (panel && panel.width !== panel.plot.clientWidth) panel.stale = true;
  }
  drawSoon();
});
