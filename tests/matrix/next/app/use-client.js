// The program of the matrix in a client component.
'use client';
import { useEffect } from 'react';
import { read, write } from '../use.mjs';

export function Use() {
  useEffect(() => {
    globalThis.use = { read, write };
  }, []);
  return <p>edge-session</p>;
}
