// A page made on the server; the program runs in the browser.
import { Use } from './use-client.js';

export default function Page() {
  return <Use />;
}
