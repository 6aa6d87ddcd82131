// What importing the module's file gives where the platform compiles it before the program starts (workerd).
declare const module: WebAssembly.Module;
export default module;
