/** What a run has seen, as a page: where it ran, beside what, and a table for each part. */
import { OURS } from './contenders.mjs';
import { lines } from './goals.mjs';

const HEAD = ['what', 'unit', OURS, '× Map', 'beside', 'its figure', 'ahead ×', 'goal', 'is'];
/** Who may stand in the tables. */
const PACKAGES = [OURS, 'yjs', 'ywasm', 'loro-crdt', '@automerge/automerge', 'tinybase', 'fast-jwt', 'jose', 'iron-session'];

/** `run` is what `--json` writes. */
export function markdown({ date, command, machine, versions, how, rounds, met, missed, seconds, results }) {
  const { place, cores, cpu } = machine;
  const beside = PACKAGES.filter((name) => name in versions).map((name) => `${name} ${versions[name]}`);
  const head = [
    `# Measured in ${place}`,
    `Written by \`${command}\` on ${date.slice(0, 10)}, in ${Math.round(seconds / 60)} minutes: ${met} goals met, ${missed} missed.`,
    'How to read it, and why what is missed is missed, is said in `speed.md`.',
    `${cores} × ${cpu}; medians of ${rounds} interleaved rounds, ${how}: ${beside.join(', ')}.`,
  ];
  return `${[...head, ...Object.entries(results).flatMap(section)].join('\n\n')}\n`;
}

function section([title, part]) {
  const rows = Object.entries(part.figures).flatMap(([what, by]) => lines(what, by, part.verdicts[what]));
  const used = HEAD.map((_, at) => rows.some((row) => filled(row[at])));
  const line = (cells) => `| ${cells.filter((_, at) => used[at]).join(' | ')} |`;
  const cell = (text) => (text === 'missed' ? '**missed**' : String(text ?? '').trim());
  const table = [line(HEAD), line(HEAD.map(() => '---')), ...rows.map((row) => line(row.map(cell)))];
  return [`## ${title}`, table.join('\n'), `${below(part).join('; ')}.`];
}

const filled = (cell) => cell !== undefined && cell !== '';

/** What has to be known beside a part's figures. */
export function below({ failed, note, seconds, load }) {
  const reasons = Object.entries(failed).map(([name, why]) => `${name} has no figures: ${why.replace(/\s+/g, ' ').slice(0, 120)}`);
  return [...reasons, note, `${seconds} s, load ${load}`].filter((line) => line !== undefined);
}
