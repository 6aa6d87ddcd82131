/** The floor under durable writes: a file, one line a write, one `fdatasync` for all lines that wait. It holds and answers nothing. */
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';

export const name = 'a file';

export async function open(directory) {
  const file = await openFile(join(directory, 'lines'), 'a');
  const lines = [];
  let last;
  const write = async (before) => {
    await before;
    await file.write(lines.splice(0).join(''));
    await file.datasync();
  };
  return {
    put(key, value) {
      // Whoever comes while the lines of before are on their way goes with the next.
      if (lines.push(`${key} ${value}\n`) === 1) last = write(last);
      return last;
    },
    close: () => file.close(),
  };
}
