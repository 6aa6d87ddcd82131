// A tab or worker that keeps in sync with a server: by a WebSocket where one gets through, else by requests.
import { type LinkState, type Replica, http, openReplica, webSocket } from 'edge-session';

const token = async () => {
  const response = await fetch('/token');
  return response.ok ? response.text() : null;
};

export async function openTab(show: (state: LinkState) => void): Promise<Replica> {
  const replica = await openReplica({ id: 'tab' });
  const link = replica.connect(webSocket('https://edge.example/sync', { token, maxDelay: '1m' }));
  replica.on('link', ({ state }) => show(state));
  replica.on('status', ({ online, unsynced }) => console.log(online ? 'online' : 'offline', `${unsynced} not sent yet`));
  // Where proxies let no WebSocket through, requests do; two links to one server do no harm.
  link.ready.catch(() => replica.connect(http('https://edge.example/sync', { every: '10s', token })));
  return replica;
}

/** Whether everything is safe elsewhere, so that the machine may be shut down. */
export async function leave(replica: Replica): Promise<boolean> {
  try {
    await replica.synced({ timeout: '5s' });
    return true;
  } catch {
    return false; // offline: it stays here, and is sent another time
  }
}
