// The program of the matrix on the server: GET writes, POST goes on with what another process handed over.
import { read, write } from '../../../use.mjs';

export const dynamic = 'force-dynamic';

export const GET = async () => Response.json(await write());

export const POST = async (request) => Response.json(await read(await request.json()));
