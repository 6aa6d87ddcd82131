// `use.mjs` as a command: `write` prints what is handed over, `read <it>` goes on with it and prints what was seen.
import { argv } from 'node:process';
import { read, write } from './use.mjs';

const [, , step, handed] = argv;
console.log(JSON.stringify(step === 'write' ? await write() : await read(JSON.parse(handed))));
