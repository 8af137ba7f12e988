// The page comes alive: theme, toolbar, charts, tables, printing.

const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

// ---- theme: the system's, or the reader's own choice, remembered

const KEY = 'bt_margin.theme';

function remembered() {
  try {
    return localStorage.getItem(KEY) || 'system';
  } catch {
    return 'system'; // a browser that keeps nothing for files
  }
}

function setTheme(choice) {
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // not remembered, but in force
  }
  readTheme();
  changed();
}

function themes() {
  const first = remembered();
  $('theme').append(choice('Colours', [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']], first, setTheme));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(remembered()));
  readTheme();
}

// ---- toolbar

function button(text, label, act) {
  return make('button', { type: 'button', 'aria-label': label, title: label, click: act }, text);
}

function toolbar() {
  const spans = [['All', null], ['1Y', 365], ['1M', 30], ['1W', 7], ['1D', 1]].filter(([, days]) => !days || (days * 864e5 < (whole.high - whole.low) * 0.95 && days * 864e5 > step * FEWEST_BARS));
  const names = { All: 'Show everything', '1Y': 'Show a year', '1M': 'Show 30 days', '1W': 'Show a week', '1D': 'Show a day' };
  const around = (days) => (days ? show(centre() - (days * 864e5) / 2, centre() + (days * 864e5) / 2) : show(whole.low, whole.high));
  $('tools').append(
    make('div', { class: 'choice', role: 'group', 'aria-label': 'Span' }, ...spans.map(([text, days]) => button(text, names[text], () => around(days)))),
    make('div', { class: 'choice', role: 'group', 'aria-label': 'Zoom and move' },
      button('◀', 'Earlier', () => pan(-0.4)), button('−', 'Zoom out', () => zoom(2, centre())), button('+', 'Zoom in', () => zoom(0.5, centre())), button('▶', 'Later', () => pan(0.4))),
    choice('Dragging', [['zoom', 'Drag zooms'], ['pan', 'Drag moves']], 'zoom', (mode) => (view.mode = mode)),
  );
  $('tools').lastChild.classList.add('mouse');
  if (SCENARIOS.length > 1) $('tools').append(scenarioSwitches());
  $('back').addEventListener('click', goBack);
  $('unpin').addEventListener('click', () => unpin());
}

function scenarioSwitches() {
  const buttons = SCENARIOS.map((i) =>
    make('button', { type: 'button', 'aria-pressed': 'true', click: (event) => flip(i, event.currentTarget) }, swatch(i, i), nameOf(i)));
  return make('div', { class: 'choice scenarios', role: 'group', 'aria-label': 'Scenarios in the charts' }, ...buttons);
}

function flip(scenario, pressed) {
  if (view.hidden.has(scenario)) view.hidden.delete(scenario);
  else view.hidden.add(scenario);
  pressed.setAttribute('aria-pressed', String(shown(scenario)));
  changed();
}

function goBack() {
  const back = unpin();
  if (!back || !back.isConnected) return;
  back.scrollIntoView({ block: 'center', behavior: calm() ? 'auto' : 'smooth' });
  back.focus({ preventScroll: true });
}

// ---- symbols: a few price charts are open, the others a button away

function symbolSwitches() {
  for (const symbol of firstSymbols()) view.symbols.add(symbol);
  if (META.symbols.length <= MOST_SYMBOLS) return;
  const buttons = META.symbols.map((name, j) =>
    make('button', { type: 'button', 'aria-pressed': String(view.symbols.has(j)), 'data-symbol': j, click: () => flipSymbol(j) }, name));
  $('symbols').append(make('div', { class: 'choice many', role: 'group', 'aria-label': 'Price charts shown' }, ...buttons));
}

function flipSymbol(symbol) {
  if (view.symbols.has(symbol)) view.symbols.delete(symbol);
  else view.symbols.add(symbol);
  symbolsChanged();
}

function showSymbol(symbol) {
  if (view.symbols.has(symbol)) return;
  view.symbols.add(symbol);
  symbolsChanged();
}

function symbolsChanged() {
  for (const each of document.querySelectorAll('#symbols button')) each.setAttribute('aria-pressed', String(view.symbols.has(Number(each.dataset.symbol))));
  for (const panel of panels) if (panel.bars) panel.box.hidden = !view.symbols.has(panel.symbol);
  if (document.documentElement.dataset.complete) drawRest();
}

// ---- charts

function charts() {
  panels.push(...equityPanels(), ...META.symbols.map((_, j) => pricePanel(j)), ...riskPanels(), ...costPanels());
  for (const panel of panels) {
    panel.lines = panel.lines.filter((one) => has(one.array));
    panel.stale = true;
    $('group-' + panel.group).append(build(panel));
  }
  symbolsChanged();
}

// What is not on the screen is decoded and drawn while nothing else is to be done, so that it prints.
function drawRest() {
  const left = panels.find((panel) => !panel.box.hidden && (!panel.ready || !panel.frame));
  if (!left) {
    document.documentElement.dataset.complete = 'yes';
    return;
  }
  const idle = window.requestIdleCallback || ((act) => setTimeout(act, 50));
  idle(() => {
    draw(left);
    if (left.ready || left.asked) setTimeout(drawRest, 30);
  });
}

// ---- tables, steps of the waterfall, the command

async function tables() {
  const rows = JSON.parse(new TextDecoder().decode(await inflated($('rows').textContent)));
  for (const mark of rows.markers.sort((a, b) => a.time - b.time)) MARKERS.push(mark);
  return rows.tables;
}

function fillTables(found) {
  for (const [key, spec] of Object.entries(found)) $('tables').append(tableOf(key, spec));
}

function steps() {
  for (const each of document.querySelectorAll('button.jump[data-time]')) {
    each.addEventListener('click', () => {
      jump(Number(each.dataset.time), each.textContent, each);
      panels[0].box.scrollIntoView({ block: 'center', behavior: calm() ? 'auto' : 'smooth' });
    });
  }
}

function moreRows() {
  const more = $('all-rows');
  if (!more) return;
  const words = more.textContent;
  more.addEventListener('click', () => {
    const all = document.querySelector('table.headline').classList.toggle('all');
    more.setAttribute('aria-expanded', String(all));
    more.textContent = all ? 'Show fewer' : words;
  });
}

function copying() {
  for (const each of document.querySelectorAll('button.copy')) {
    each.addEventListener('click', async () => {
      const text = $(each.dataset.from).textContent;
      const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
      if (!done) getSelection().selectAllChildren($(each.dataset.from));
      each.textContent = done ? 'Copied' : 'Selected: press Ctrl+C';
      say(each.textContent);
    });
  }
}

// ---- printing: by day, as wide as the paper

const PAPER = 700;

function printing() {
  addEventListener('beforeprint', () => {
    document.documentElement.dataset.print = 'on';
    readTheme();
    for (const panel of panels) if (panel.ready && !panel.box.hidden) draw(panel);
  });
  addEventListener('afterprint', () => {
    delete document.documentElement.dataset.print;
    readTheme();
    changed();
  });
}

async function start() {
  themes();
  copying();
  moreRows();
  if (!window.DecompressionStream) {
    $('trouble').textContent = 'This browser is too old to unpack the charts and tables; the words and the headline above are complete.';
    return;
  }
  if (has('time')) setClock(await load('time'));
  setWhole();
  const found = await tables();
  toolbar();
  symbolSwitches();
  charts();
  steps();
  printing();
  fillTables(found);
  document.documentElement.dataset.ready = 'yes';
  drawRest();
}

start().catch((error) => {
  $('trouble').textContent = 'The charts could not be drawn: ' + error.message;
  throw error;
});
