import { readFileSync } from 'node:fs';

/*
 * To be loaded before a program (node --import): its clock is wrong by as many ms as the file says that
 * CHAOS_CLOCK_ERROR names, looked up ten times a second.
 */
const lookEveryMs = 100;
const file = process.env['CHAOS_CLOCK_ERROR'] ?? '';
const RightDate = Date;
let errorMs = read();
setInterval(() => (errorMs = read()), lookEveryMs).unref();

function read(): number {
  return Number(readFileSync(file, 'utf8'));
}

const now = (): number => RightDate.now() + errorMs;

globalThis.Date = new Proxy(RightDate, {
  construct: (target, words: unknown[], newTarget): object =>
    Reflect.construct(target, words.length === 0 ? [now()] : words, newTarget) as object,
  apply: () => new RightDate(now()).toString(),
  get: (target, property) => (property === 'now' ? now : Reflect.get(target, property)),
});
