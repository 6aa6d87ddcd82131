// Next as it comes. The tools of the matrix are one directory up, which Turbopack does not leave unless told where the root is.
import { dirname } from 'node:path';

export default { turbopack: { root: dirname(import.meta.dirname) } };
