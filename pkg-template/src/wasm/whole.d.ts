// The type of whole.js, which is generated: the last bytes of the module's file, by which node.ts recognises its build.
declare const whole: string;
export default whole;
