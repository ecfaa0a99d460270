/** The door of the tracer: predict a request's way, compare it with what was seen, and tell it. */
export { accountOf } from "./account.ts";
export { compare } from "./compare.ts";
export type { CompareOptions } from "./compare.ts";
export { followEvidence } from "./evidence.ts";
export { predict } from "./predict.ts";
export type { Prediction } from "./predict.ts";
export type { PredictOptions } from "./start.ts";
export { render } from "./render/render.ts";
export { exitStatusOf } from "./verdict.ts";
export type * from "./types.ts";
