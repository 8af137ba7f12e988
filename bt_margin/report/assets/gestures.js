// Pointer, wheel, touch and keys on a chart. One code for mouse and finger: pointer events on the glass.

const REACH = 9;

function listen(panel) {
  const glass = panel.glass;
  const fingers = new Map();
  const state = { drag: null, pinch: null };
  glass.addEventListener('pointerdown', (event) => grab(panel, event, fingers, state));
  glass.addEventListener('pointermove', (event) => move(panel, event, fingers, state));
  glass.addEventListener('pointerup', (event) => release(panel, event, fingers, state));
  glass.addEventListener('pointercancel', (event) => forget(panel, event, fingers, state));
  glass.addEventListener('pointerleave', (event) => leave(panel, event));
  glass.addEventListener('dblclick', () => show(whole.low, whole.high));
  glass.addEventListener('wheel', (event) => wheel(panel, event), { passive: false });
  glass.addEventListener('keydown', (event) => key(panel, event));
  glass.addEventListener('blur', () => uncross());
}

function local(panel, event) {
  const box = panel.glass.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function grab(panel, event, fingers, state) {
  if (!panel.frame || (event.pointerType === 'mouse' && event.button !== 0)) return;
  const at = local(panel, event);
  fingers.set(event.pointerId, at);
  panel.glass.setPointerCapture(event.pointerId);
  if (fingers.size === 2) {
    state.drag = null;
    state.pinch = { ...pinchOf(fingers), low: view.low, high: view.high };
  } else {
    const panning = view.mode === 'pan' || event.shiftKey;
    state.drag = { x: at.x, moved: false, how: event.pointerType === 'touch' ? 'look' : panning ? 'pan' : 'zoom', low: view.low, high: view.high };
  }
}

function pinchOf(fingers) {
  const [one, two] = [...fingers.values()];
  return { middle: (one.x + two.x) / 2, apart: Math.max(12, Math.abs(one.x - two.x)) };
}

function move(panel, event, fingers, state) {
  if (!panel.frame) return;
  const at = local(panel, event);
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, at);
  if (state.pinch && fingers.size === 2) pinched(panel, fingers, state.pinch);
  else if (state.drag) dragged(panel, at, state.drag);
  if (!state.pinch) cross(panel, at);
}

function pinched(panel, fingers, from) {
  const now = pinchOf(fingers);
  const span = ((from.high - from.low) * from.apart) / now.apart;
  const time = from.low + ((from.middle - panel.frame.left) / area(panel)) * (from.high - from.low);
  const low = time - ((now.middle - panel.frame.left) / area(panel)) * span;
  show(low, low + span);
}

function dragged(panel, at, drag) {
  if (Math.abs(at.x - drag.x) > 4) drag.moved = true;
  if (!drag.moved || drag.how === 'look') return;
  if (drag.how === 'pan') {
    const by = ((drag.x - at.x) / area(panel)) * (drag.high - drag.low);
    const allowed = Math.min(Math.max(by, whole.low - drag.low), whole.high - drag.high);
    show(drag.low + allowed, drag.high + allowed);
    return;
  }
  const [low, high] = [timeAt(panel, Math.min(drag.x, at.x)), timeAt(panel, Math.max(drag.x, at.x))];
  for (const each of panels) choose(each, low, high);
}

// The span being chosen, in every panel.
function choose(panel, low, high) {
  if (!panel.frame || !panel.seen) return;
  const edge = (time) => Math.min(Math.max(across(panel, time), panel.frame.left), panel.width - panel.frame.right);
  panel.chosen.hidden = false;
  panel.chosen.style.left = edge(low) + 'px';
  panel.chosen.style.width = edge(high) - edge(low) + 'px';
}

function release(panel, event, fingers, state) {
  const drag = state.drag;
  const at = panel.frame ? local(panel, event) : null;
  forget(panel, event, fingers, state);
  if (!drag || !at) return;
  if (!drag.moved) {
    cross(panel, at);
    const point = markNear(panel, at.x, at.y, event.pointerType === 'touch' ? 18 : REACH);
    if (point) jumpToMark(point.mark, null);
  } else if (drag.how === 'zoom') {
    show(timeAt(panel, Math.min(drag.x, at.x)), timeAt(panel, Math.max(drag.x, at.x)));
  }
}

function forget(panel, event, fingers, state) {
  fingers.delete(event.pointerId);
  state.drag = null;
  if (fingers.size < 2) state.pinch = null;
  for (const each of panels) each.chosen.hidden = true;
}

function leave(panel, event) {
  showTip(panel, null);
  if (event.pointerType === 'mouse' && document.activeElement !== panel.glass) uncross();
}

let crossing = 0;

function crossAt(bar) {
  view.bar = bar;
  if (!crossing) {
    crossing = requestAnimationFrame(() => {
      crossing = 0;
      tell();
    });
  }
}

function uncross() {
  crossAt(view.pinned ? barOf(view.pinned.time) : -1);
}

function cross(panel, at) {
  crossAt(clock.length ? nearest(timeAt(panel, at.x)) : -1);
  showTip(panel, markNear(panel, at.x, at.y, REACH));
}

// The wheel scrolls the page; with Ctrl it zooms, with Shift it moves along.
function wheel(panel, event) {
  if (!panel.frame || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
  event.preventDefault();
  const by = event.deltaY || event.deltaX;
  if (event.shiftKey) pan(by / 1500);
  else zoom(Math.exp(Math.max(-1, Math.min(1, by / 300))), timeAt(panel, local(panel, event).x));
}

function key(panel, event) {
  if (event.altKey || event.metaKey || event.ctrlKey || !clock.length) return;
  const { from, to } = inSight();
  const stride = event.shiftKey ? Math.max(1, Math.round((to - from) / 10)) : Math.max(1, Math.round((to - from) / (panel.columns || 400)));
  const acts = {
    ArrowLeft: () => walk(panel, -stride), ArrowRight: () => walk(panel, stride),
    Home: () => walk(panel, -clock.length), End: () => walk(panel, clock.length),
    '+': () => zoom(0.5, centre()), '=': () => zoom(0.5, centre()), '-': () => zoom(2, centre()),
    0: () => show(whole.low, whole.high), Enter: () => nextLiquidation(event.shiftKey ? -1 : 1), Escape: () => unpin(),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

function walk(panel, by) {
  view.bar = Math.min(clock.length - 1, Math.max(0, (view.bar >= 0 ? view.bar : told()) + by));
  const time = clock[view.bar];
  if (time < view.low || time > view.high) show(time - (view.high - view.low) / 2, time + (view.high - view.low) / 2);
  tell();
  sayPanel(panel);
}

// ---- jumping to an event

const JUMP_BARS = 120;

function jump(time, text, back) {
  const half = Math.min(step * JUMP_BARS, (whole.high - whole.low) / 2);
  view.pinned = { time, text, back };
  view.bar = barOf(time);
  $('pinned').hidden = false;
  $('pinned-text').textContent = text;
  $('back').hidden = !back;
  show(time - half, time + half);
  say('Shown in every chart: ' + text);
}

function unpin() {
  const back = view.pinned && view.pinned.back;
  view.pinned = null;
  $('pinned').hidden = true;
  uncross();
  changed();
  return back;
}

function jumpToMark(mark, back) {
  showSymbol(mark.symbol);
  const what = mark.kind === 'liquidation' ? 'liquidation' : mark.size < 0 ? 'sale' : 'purchase';
  jump(mark.time, `${nameOf(mark.scenario)}: ${what} of ${META.symbols[mark.symbol]}, ${moment(mark.time)} UTC`, back);
}

function nextLiquidation(direction) {
  const from = view.pinned ? view.pinned.time : direction > 0 ? -Infinity : Infinity;
  const found = MARKERS.filter((mark) => mark.kind === 'liquidation' && (direction > 0 ? mark.time > from : mark.time < from));
  if (found.length) jumpToMark(found[direction > 0 ? 0 : found.length - 1], null);
  else say('No further liquidation.');
}
