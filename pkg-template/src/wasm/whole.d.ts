// The type of whole.js, which is generated: what the module's file ends with, by which node.ts knows its own.
declare const whole: string;
export default whole;
