// Every lie of lies.mjs, told over a real WebSocket to an edge in a process of its own.
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { startEdge, startHonest } from './hostile.mjs';
import { tellLies } from './lies.mjs';

tellLies(test, 'an edge', async (t) => {
  const edge = await startEdge(t);
  const { replica, served } = await startHonest(t, edge, 'kept');
  return {
    honest: replica,
    served,
    connect: (token) => new WebSocket(edge.url, ['edge-session.v1', `token.${token}`], { perMessageDeflate: false }),
    ticket: (about) => edge.ask('ticket', about),
    end: (token) => edge.ask('end', token),
    state: () => edge.ask('state'),
  };
});
