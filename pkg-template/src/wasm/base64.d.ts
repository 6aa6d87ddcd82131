// The type of base64.js, which is generated: the bytes of the module, gzipped.
declare const base64: string;
export default base64;
