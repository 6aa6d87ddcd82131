// A transport of one's own: anything that carries messages both ways, here a MessagePort.
import { type Duplex, type Transport, openReplica } from 'edge-session';

export function messagePort(port: MessagePort): Transport {
  return {
    kind: 'message-port',
    open({ signal }, onPeer) {
      const peer: Duplex = {
        readable: new ReadableStream<Uint8Array>({
          start: (controller) => {
            port.onmessage = ({ data }) => (data === null ? controller.close() : controller.enqueue(data));
          },
          cancel: () => {
            port.onmessage = null;
          },
        }),
        writable: new WritableStream<Uint8Array>({ write: (message) => port.postMessage(message) }),
      };
      signal.addEventListener('abort', () => {
        port.postMessage(null);
        port.close();
      });
      onPeer(peer);
    },
  };
}

const { port1, port2 } = new MessageChannel();
const left = await openReplica({ id: 'left', connect: messagePort(port1) });
const right = await openReplica({ id: 'right', connect: messagePort(port2) });

const writer = left.session();
await writer.set('hello', 'world');
console.log(await right.session({ token: await writer.sealed(), timeout: '5s' }).get('hello'));

await Promise.all([left.close(), right.close()]);
