/**
 * The checksum of stored bytes: CRC-32 as of Ethernet, gzip and PNG. It finds damage; it proves nothing against malice.
 */

let table: Uint32Array | undefined;

/** A number from 0 to 2^32 − 1. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    return sum;
  });
  let sum = 0xffffffff;
  // By index: an iterator takes three times as long.
  for (let at = 0; at < bytes.length; at += 1) sum = (sum >>> 8) ^ (table[(sum ^ (bytes[at] as number)) & 0xff] as number);
  return (sum ^ 0xffffffff) >>> 0;
}
