/**
 * CRC-32 as in Ethernet, gzip and PNG, for stored bytes. It detects damage, not malice.
 *
 * Slicing by eight: eight bytes at a time, each with a table of its own. Byte by byte it was a tenth of a cold start.
 */

const SLICES = 8;

let tables: Int32Array | undefined;

/** The checksums of each byte, and of each byte followed by 1 … 7 zero bytes. */
function prepare(): Int32Array {
  const made = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    made[byte] = sum;
  }
  for (let at = 256; at < made.length; at += 1) {
    const before = made[at - 256] as number;
    made[at] = (before >>> 8) ^ (made[before & 0xff] as number);
  }
  return made;
}

/** The checksum, from 0 to 2^32 − 1. */
export function crc32(bytes: Uint8Array): number {
  // All indices are in range. Indexing, because an iterator takes three times as long.
  const of = (tables ??= prepare());
  const at = bytes;
  const end = bytes.length - (bytes.length % SLICES);
  let sum = -1;
  let n = 0;
  for (; n < end; n += SLICES) {
    const first = sum ^ (at[n]! | (at[n + 1]! << 8) | (at[n + 2]! << 16) | (at[n + 3]! << 24));
    sum =
      of[1792 + (first & 255)]! ^
      of[1536 + ((first >>> 8) & 255)]! ^
      of[1280 + ((first >>> 16) & 255)]! ^
      of[1024 + (first >>> 24)]! ^
      of[768 + at[n + 4]!]! ^
      of[512 + at[n + 5]!]! ^
      of[256 + at[n + 6]!]! ^
      of[at[n + 7]!]!;
  }
  for (; n < bytes.length; n += 1) sum = (sum >>> 8) ^ of[(sum ^ at[n]!) & 255]!;
  return ~sum >>> 0;
}
