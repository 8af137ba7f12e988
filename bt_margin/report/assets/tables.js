// Long tables: sorted by any column, filtered, a page at a time, saved as CSV.

const PAGES = [10, 50, 250];
const LONG_TEXT = 44; // characters from which a text stands in a line of its own below its row
const MANY_COLUMNS = 11; // from which a table is set closer
const UNSEEN = 'event'; // a number that ties rows to events.csv: saved, not shown
const FEW_VALUES = 12; // different texts up to which a column has a filter of its own

function tableOf(key, spec) {
  const table = { key, spec, order: null, down: false, words: '', picks: new Map(), page: 0, size: PAGES[0] };
  table.long = spec.columns.map((column, c) => column.kind === 'text' && spec.rows.some((row) => String(row[c] ?? '').length > LONG_TEXT));
  table.off = spec.columns.map((column, c) => table.long[c] || column.key === UNSEEN);
  table.texts = new Map();
  const heading = make('h2', { id: 'head-' + key }, spec.title);
  const note = spec.note ? make('p', { class: 'note' }, spec.note) : null;
  const section = make('section', { id: key, class: 'rows', 'aria-labelledby': 'head-' + key }, heading, note);
  if (!spec.rows.length) section.append(make('p', { class: 'none' }, 'None in any scenario.'));
  else section.append(controls(table), frameOfTable(table), pager(table));
  if (spec.rows.length) fill(table);
  return section;
}

function frameOfTable(table) {
  const heads = table.spec.columns.map((column, c) => (table.off[c] ? null : headCell(table, column, c)));
  table.heads = heads;
  table.body = make('tbody');
  const caption = make('caption', { class: 'unseen' }, `${table.spec.title}; the buttons in the header sort.`);
  const head = make('thead', {}, make('tr', {}, ...heads));
  return make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': table.spec.title }, make('table', { class: heads.filter(Boolean).length > MANY_COLUMNS ? 'data close' : 'data' }, caption, head, table.body));
}

const isNumber = (column) => !['text', 'time'].includes(column.kind);

function headCell(table, column, c) {
  const label = [column.label, column.unit ? make('span', { class: 'unit' }, column.unit) : null];
  const button = make('button', { type: 'button', click: () => sortBy(table, c) }, ...label, make('span', { class: 'arrow', 'aria-hidden': 'true' }));
  return make('th', { scope: 'col', 'aria-sort': 'none', class: isNumber(column) ? 'right' : '' }, button);
}

function sortBy(table, c) {
  table.down = table.order === c ? !table.down : isNumber(table.spec.columns[c]);
  table.order = c;
  table.page = 0;
  table.heads.forEach((head, k) => head && head.setAttribute('aria-sort', k !== c ? 'none' : table.down ? 'descending' : 'ascending'));
  fill(table);
}

// ---- which rows, in which order

function textOf(table, row) {
  if (!table.texts.has(row)) {
    const cells = table.spec.columns.map((column, c) => shownCell(column, row[c]));
    table.texts.set(row, cells.join(' \u0001 ').toLowerCase());
  }
  return table.texts.get(row);
}

function chosenRows(table) {
  const words = table.words.toLowerCase().split(/\s+/).filter(Boolean);
  let rows = table.spec.rows;
  for (const [c, value] of table.picks) rows = rows.filter((row) => String(row[c]) === value);
  if (words.length) rows = rows.filter((row) => words.every((word) => textOf(table, row).includes(word)));
  return table.order === null ? rows : [...rows].sort((a, b) => compare(table, a, b));
}

// Rows without a value come last in both directions.
function compare(table, a, b) {
  const c = table.order;
  const [one, two] = [a[c], b[c]];
  const [no, none] = [one === null || one === undefined, two === null || two === undefined];
  if (no || none) return no - none;
  const order = typeof one === 'number' && typeof two === 'number' ? one - two : String(one).localeCompare(String(two), 'en', { numeric: true });
  return table.down ? -order : order;
}

// ---- controls

function controls(table) {
  const search = make('input', { type: 'search', placeholder: 'Filter', 'aria-label': `Filter ${table.spec.title}`, input: (event) => refilter(table, () => (table.words = event.target.value)) });
  const picks = table.spec.columns.map((column, c) => picker(table, column, c)).filter(Boolean);
  table.save = make('button', { type: 'button', class: 'csv', click: () => save(table) });
  return make('div', { class: 'controls' }, search, ...picks, table.save);
}

function refilter(table, change) {
  change();
  table.page = 0;
  fill(table);
}

function picker(table, column, c) {
  if (column.kind !== 'text' || table.off[c]) return null;
  const found = [...new Set(table.spec.rows.map((row) => String(row[c])))].sort();
  if (found.length < 2 || found.length > FEW_VALUES) return null;
  const options = [make('option', { value: '-1' }, `${column.label}: all`), ...found.map((value, k) => make('option', { value: k }, write('text', value)))];
  const choose = (event) => {
    const k = Number(event.target.value);
    refilter(table, () => (k < 0 ? table.picks.delete(c) : table.picks.set(c, found[k])));
  };
  return make('select', { 'aria-label': `${table.spec.title}: ${column.label}`, change: choose }, ...options);
}

function pager(table) {
  table.back = make('button', { type: 'button', click: () => turn(table, -1) }, '← Previous');
  table.next = make('button', { type: 'button', click: () => turn(table, 1) }, 'Next →');
  table.count = make('span', { 'aria-live': 'polite' });
  const sizes = make('select', { 'aria-label': 'Rows on a page', change: (event) => refilter(table, () => (table.size = Number(event.target.value))) },
    ...PAGES.map((size) => make('option', { value: size }, `${size} rows`)));
  table.sizes = sizes;
  return make('div', { class: 'pager' }, table.back, table.count, table.next, sizes);
}

function turn(table, by) {
  table.page += by;
  fill(table);
}

// ---- rows on the screen

function fill(table) {
  const rows = chosenRows(table);
  const from = table.page * table.size;
  const to = Math.min(rows.length, from + table.size);
  table.body.replaceChildren(...rows.slice(from, to).flatMap((row) => rowOf(table, row)));
  const all = rows.length === table.spec.rows.length ? '' : ` (of ${number(table.spec.rows.length)})`;
  table.count.textContent = rows.length ? `${number(from + 1)} to ${number(to)} of ${number(rows.length)}${all}` : `no row fits${all}`;
  table.back.disabled = table.page === 0;
  table.next.disabled = to >= rows.length;
  table.save.textContent = `Save ${number(rows.length)} ${rows.length === 1 ? 'row' : 'rows'} as CSV`;
  const small = table.spec.rows.length <= PAGES[0];
  for (const part of [table.back, table.next, table.sizes]) part.hidden = small;
}

function rowOf(table, row) {
  const { columns } = table.spec;
  const cells = columns.map((column, c) => (table.off[c] ? null : cellOf(table, row, column, c)));
  const line = make('tr', { class: table.long.some(Boolean) ? 'with-words' : '' }, ...cells);
  const words = columns.filter((column, c) => table.long[c] && row[columns.indexOf(column)]).map((column) =>
    make('p', {}, make('b', {}, column.label + ' '), String(row[columns.indexOf(column)])));
  if (!words.length) return [line];
  const wide = make('td', { colspan: cells.filter(Boolean).length }, make('div', { class: 'words' }, ...words));
  return [line, make('tr', { class: 'more' }, wide)];
}

function cellOf(table, row, column, c) {
  const text = shownCell(column, row[c]);
  if (column.kind === 'time' && c === firstTime(table) && known(stampOf(row[c]))) {
    return make('td', { class: 'whole' }, make('button', { type: 'button', class: 'jump', title: 'Show in every chart', click: (event) => jumpToRow(table, row, event.currentTarget) }, text));
  }
  return make('td', { class: isNumber(column) ? 'right' : text.length <= 24 ? 'whole' : '' }, text);
}

// As in the charts, but a rate of a few millionths is not written as nothing.
function shownCell(column, value) {
  const small = column.kind === 'percent' && known(value) && value !== 0 && Math.abs(value) < 5e-4;
  return small ? significant(value * 100, 3) + ' %' : write(column.kind, value);
}

const firstTime = (table) => table.spec.columns.findIndex((column) => column.kind === 'time');

function jumpToRow(table, row, back) {
  const at = (key) => row[table.spec.columns.findIndex((column) => column.key === key)];
  const time = stampOf(row[firstTime(table)]);
  const symbol = META.symbols.indexOf(at('symbol'));
  if (symbol >= 0) showSymbol(symbol);
  const text = [at('scenario'), table.spec.title.toLowerCase(), at('symbol'), moment(time) + ' UTC'].filter(Boolean).join(', ');
  jump(time, text, back);
  const panel = panels.find((one) => one.symbol === symbol && symbol >= 0) || panels[0];
  panel.box.scrollIntoView({ block: 'center', behavior: calm() ? 'auto' : 'smooth' });
  panel.glass.focus({ preventScroll: true });
}

// ---- CSV

// A text that a spreadsheet would take for a formula is given an apostrophe.
function csvCell(column, value) {
  if (value === null || value === undefined) return '';
  if (column.kind === 'time' && known(stampOf(value))) return new Date(stampOf(value)).toISOString();
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(String(value)) ? "'" + value : String(value);
  return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
}

function csv(table) {
  const { columns } = table.spec;
  const head = columns.map((column) => csvCell({ kind: 'text' }, column.key)).join(',');
  const rows = chosenRows(table).map((row) => columns.map((column, c) => csvCell(column, row[c])).join(','));
  return [head, ...rows, ''].join('\r\n');
}

function save(table) {
  const link = make('a', { href: URL.createObjectURL(new Blob([csv(table)], { type: 'text/csv' })), download: table.key + '.csv' });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
