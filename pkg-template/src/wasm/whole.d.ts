// The type of whole.js, which is generated: what a sample of the module's bytes comes to, by which node.ts knows its own.
declare const whole: number;
export default whole;
