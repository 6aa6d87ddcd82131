// An object that runs text of its own: what the platform's fetch is given ends when the query is killed or its time is over.
import type { ReplicaOptions } from 'edge-session';
import { ReplicaObject } from 'edge-session/cloudflare';

export class Search extends ReplicaObject<{ TOKEN_SECRET: string }> {
  protected override options(): ReplicaOptions {
    return {
      secret: { kid: '1', key: this.env.TOKEN_SECRET },
      execute: async (text, { signal }) => (await fetch(`https://search.example/?q=${encodeURIComponent(text)}`, { signal })).json(),
    };
  }
}
