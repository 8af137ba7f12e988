// The box around a chart: its title, the numbers under the crosshair, the glass that takes the pointer.

function build(panel) {
  panel.plot = make('div', { class: 'plot', 'aria-hidden': 'true' });
  panel.hair = make('div', { class: 'hair', hidden: true });
  panel.pin = make('div', { class: 'pin', hidden: true });
  panel.chosen = make('div', { class: 'chosen', hidden: true });
  panel.tip = make('div', { class: 'tip', hidden: true });
  panel.glass = make('div', { class: 'glass', tabindex: '0', role: 'application', 'aria-roledescription': 'chart', 'aria-label': `Chart: ${panel.title}. Arrow keys move the crosshair, with Shift by a tenth of what is shown; plus and minus zoom, 0 shows everything, Enter jumps to the next liquidation.` }, panel.pin, panel.hair, panel.chosen, panel.tip);
  panel.told = make('div', { class: 'told' });
  panel.note = make('p', { class: 'note' });
  panel.stage = make('div', { class: 'stage' }, panel.plot, panel.glass);
  panel.stage.style.setProperty('--height', panel.height + 'px');
  const title = make('h3', {}, panel.title, make('span', { class: 'unit' }, panel.unit));
  const head = make('div', { class: 'panel-head' }, title, panel.canLog ? logSwitch(panel) : null);
  panel.box = make('div', { class: 'panel' + (panel.wide ? ' wide' : ''), id: 'panel-' + panel.id }, head, panel.told, panel.stage, panel.note);
  legend(panel);
  listen(panel);
  sight.observe(panel.box);
  sizes.observe(panel.plot);
  return panel.box;
}

function logSwitch(panel) {
  const set = (log) => {
    panel.log = log;
    panel.stale = true;
    drawSoon();
  };
  return choice('Scale of the equity', [['linear', 'Linear'], ['log', 'Log']], 'linear', (value) => set(value === 'log'));
}

// Buttons of which one is pressed.
function choice(label, options, first, chosen) {
  const buttons = options.map(([value, text]) =>
    make('button', { type: 'button', 'aria-pressed': String(value === first), 'data-value': value, click: () => press(value) }, text));
  const press = (value) => {
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.value === value));
    chosen(value);
  };
  return make('div', { class: 'choice', role: 'group', 'aria-label': label }, ...buttons);
}

// ---- the numbers above a chart

function legend(panel) {
  panel.cells = [];
  panel.told.replaceChildren();
  if (panel.bars) panel.told.append((panel.ohlc = make('div', { class: 'cell' })));
  for (const one of panel.lines) {
    if (one.ink) continue;
    const value = make('span', { class: 'value' }, '');
    const cell = make('div', { class: 'cell' }, swatch(one.tone, one.dash), make('span', { class: 'who' }, one.label), value);
    panel.cells.push({ one, cell, value });
    panel.told.append(cell);
  }
}

// Write the numbers of the bar under the crosshair, in every panel in sight.
function tell() {
  const bar = told();
  const time = clock.length ? clock[bar] : NaN;
  $('when').textContent = clock.length ? moment(time) + ' UTC' : 'no bars';
  $('where').textContent = view.bar >= 0 ? '' : ' · end of what is shown';
  for (const panel of panels) {
    if (panel.seen && panel.frame) tellPanel(panel, bar);
    else panel.hair.hidden = true; // told again when it comes into sight
  }
}

function tellPanel(panel, bar) {
  for (const { one, cell, value } of panel.cells) {
    cell.hidden = one.scenario !== undefined && !shown(one.scenario);
    value.textContent = panel.tell ? '' : write(panel.kind, (values(one.array) || [])[bar]);
  }
  if (panel.tell) panel.tell(panel, bar);
  hair(panel, clock[bar]);
}

function tellPrice(panel, bar) {
  const at = (name) => (values(name) || [])[bar];
  const y = `y${panel.symbol}.`;
  const [close, mark] = [at(y + 'close'), at(y + 'mark')];
  panel.ohlc.textContent = `O ${price(at(y + 'open'))}  H ${price(at(y + 'high'))}  L ${price(at(y + 'low'))}  C ${price(close)}  mark ${price(mark)}`;
  for (const { one, value } of panel.cells) {
    const own = `s${one.scenario}.y${panel.symbol}.`;
    value.textContent = position(at(own + 'size'), at(own + 'entry'), at(own + 'liquidation'), known(mark) ? mark : close);
  }
}

function position(size, entry, liquidation, mark) {
  if (!known(size) || size === 0) return 'no position';
  const side = `${size > 0 ? 'long' : 'short'} ${number(Math.abs(size))} at ${price(entry)}`;
  if (!known(liquidation)) return `${side}, no liquidation price`;
  return `${side}, liquidation at ${price(liquidation)} (${signed('percent', liquidation / mark - 1)} from the mark)`;
}

// The numbers of a panel in words, for who hears the page.
function sayPanel(panel) {
  const cells = panel.cells.filter(({ cell }) => !cell.hidden).map(({ one, value }) => `${one.label} ${value.textContent}`);
  say(`${panel.title}, ${$('when').textContent}: ${panel.bars ? panel.ohlc.textContent + '; ' : ''}${cells.join('; ')}`);
}

function say(text) {
  $('said').textContent = text;
}

// ---- what lies on the glass

const area = (panel) => panel.width - panel.frame.left - panel.frame.right;
const across = (panel, time) => panel.frame.left + ((time - view.low) / (view.high - view.low)) * area(panel);
const timeAt = (panel, x) => view.low + ((x - panel.frame.left) / area(panel)) * (view.high - view.low);

function down(panel, value) {
  const { low, high } = panel.range;
  const share = ((panel.log ? Math.log10(value) : value) - low) / (high - low);
  return panel.frame.top + (1 - share) * (panel.tall - panel.frame.top - panel.frame.bottom);
}

function upright(element, panel, time, wanted) {
  const x = panel.frame ? across(panel, time) : -1;
  element.hidden = !wanted || !panel.frame || x < panel.frame.left - 1 || x > panel.width - panel.frame.right + 1;
  if (!element.hidden) element.style.transform = `translateX(${x}px)`;
}

function hair(panel, time) {
  upright(panel.hair, panel, time, view.bar >= 0);
}

function overlay(panel) {
  upright(panel.pin, panel, view.pinned ? view.pinned.time : 0, view.pinned !== null);
  tellPanel(panel, told());
  panel.tip.hidden = true;
}

// The mark nearest to the pointer, liquidations before fills.
function markNear(panel, x, y, reach) {
  let best = null;
  for (const point of panel.points || []) {
    const far = Math.hypot(across(panel, point.x) - x, down(panel, point.y) - y) - (point.mark.kind === 'liquidation' ? 4 : 0);
    if (far <= reach && (!best || far < best.far)) best = { far, point };
  }
  return best && best.point;
}

function showTip(panel, point) {
  panel.tip.hidden = !point;
  panel.glass.classList.toggle('over-mark', Boolean(point));
  if (!point) return;
  const mark = point.mark;
  const what = mark.kind === 'liquidation' ? '✕ liquidation' : mark.size < 0 ? '▼ sold' : '▲ bought';
  panel.tip.replaceChildren(
    make('strong', {}, `${nameOf(mark.scenario)}: ${what} ${number(Math.abs(mark.size))} ${META.symbols[mark.symbol]} at ${price(mark.price)}`),
    make('span', {}, moment(mark.time) + ' UTC'),
    make('span', {}, mark.text || ''),
  );
  const x = across(panel, point.x);
  const y = down(panel, point.y);
  const right = x > panel.width / 2;
  panel.tip.style.left = right ? '' : x + 12 + 'px';
  panel.tip.style.right = right ? panel.width - x + 12 + 'px' : '';
  panel.tip.style.top = Math.min(Math.max(4, y - 20), panel.tall - 80) + 'px';
}
