// A worker whose bundler did not know that it was for workerd: what does the package tell it?
import { openReplica } from 'edge-session';

export default {
  async fetch() {
    return Response.json(await openReplica().then(() => ({}), ({ code, message }) => ({ code, message })));
  },
};
