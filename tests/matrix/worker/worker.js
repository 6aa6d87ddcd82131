// The program of the matrix as a worker: GET writes, POST goes on with what another process handed over.
import { read, write } from './use.mjs';

export default {
  async fetch(request) {
    return Response.json(request.method === 'POST' ? await read(await request.json()) : await write());
  },
};
