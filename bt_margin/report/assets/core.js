// Small things everybody needs: elements, numbers as text, colours of the theme.

const META = JSON.parse(document.getElementById('meta').textContent);
const NOTHING = '–';
const DASHES = ['', '7 4', '2 3', '9 3 2 3', '14 4', '4 2 4 5', '1 4', '12 3 2 3 2 3'];
const TONES = DASHES.length;

const $ = (id) => document.getElementById(id);

// An element; what comes from the bundle lands in text nodes and attributes, never in markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The sample of a line: colour and dashes, as in the charts.
function swatch(tone, dash) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  for (const [name, value] of [['class', 'swatch tone' + tone % TONES], ['viewBox', '0 0 28 8'], ['aria-hidden', 'true']]) {
    svg.setAttribute(name, value);
  }
  const line = document.createElementNS(space, 'path');
  line.setAttribute('d', 'M0 4H28');
  line.setAttribute('stroke-dasharray', DASHES[dash % TONES]);
  svg.append(line);
  return svg;
}

// ---- numbers as people read them: the same text as report/numbers.py writes

function known(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

function grouped(text) {
  const [whole, rest] = text.split('.');
  const out = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return rest === undefined ? out : out + '.' + rest;
}

function fixed(value, digits) {
  const text = grouped(value.toFixed(digits));
  return /[1-9]/.test(text) ? text : text.replace('-', '');
}

// So many digits that mean something, never with an exponent, no zeros at the end.
function significant(value, digits) {
  if (value === 0) return '0';
  const decimals = Math.min(20, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value)))));
  const text = value.toFixed(decimals);
  return grouped(text.includes('.') ? text.replace(/\.?0+$/, '') : text);
}

function money(value) {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  if (META.digits <= 2) return size > 1e-9 && size < 0.005 ? significant(value, 3) : fixed(value, 2);
  if (size < 5e-9) return '0.00';
  return fixed(value, size < 10 ? 8 : size < 1000 ? 6 : 4);
}

function price(value) {
  if (!known(value)) return NOTHING;
  return Math.abs(value) >= 100 ? fixed(value, 2) : significant(value, 6);
}

const percent = (value) => (known(value) ? fixed(value * 100, 2) + ' %' : NOTHING);
const ratio = (value) => (known(value) ? fixed(value, 2) : NOTHING);
const times = (value) => (known(value) ? fixed(value, 2) + '×' : NOTHING);

function number(value) {
  if (!known(value)) return NOTHING;
  return Number.isInteger(value) ? grouped(String(value)) : significant(value, 8);
}

// UTC ms of a time that is told in ms or as ISO text.
function stampOf(value) {
  return typeof value === 'number' ? value : value ? Date.parse(value) : NaN;
}

// A moment in UTC, to the minute; seconds where there are any.
function moment(value) {
  if (value === null || value === undefined || value === '') return NOTHING;
  const stamp = stampOf(value);
  if (!Number.isFinite(stamp)) return String(value);
  const text = new Date(stamp).toISOString();
  return text.slice(0, 10) + ' ' + text.slice(11, stamp % 60000 ? 19 : 16);
}

const WRITE = { time: moment, number, price, money, percent, ratio, times, text: (v) => (v === null || v === undefined ? NOTHING : String(v)) };
const write = (kind, value) => (WRITE[kind] || WRITE.text)(value);
const signed = (kind, value) => (known(value) && value > 0 && /[1-9]/.test(write(kind, value)) ? '+' : '') + write(kind, value);

// ---- colours of the theme in force, read from the style sheet once a change

const THEME = { ink: '', soft: '', line: '', page: '', tones: [] };

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  Object.assign(THEME, { ink: value('--ink'), soft: value('--soft'), line: value('--line'), page: value('--page'), warn: value('--warn') });
  THEME.tones = DASHES.map((_, tone) => value('--tone' + tone));
}

function faint(colour, alpha) {
  const part = (at) => parseInt(colour.slice(at, at + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
}
