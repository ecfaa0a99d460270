/** The door of the pod hop: the node agent, what runs in pods, and what becomes of a flow that reached one. */
export { startNodeAgent } from "./agent.ts";
export type { NodeAgent, NodeAgentOptions } from "./agent.ts";
export { behaviourAnnotation } from "./behaviour.ts";
export type { Component, ComponentMessage, ComponentPod, StopMessage } from "./component.ts";
export { explain } from "./explain.ts";
export type { CommandMapping } from "./mapping.ts";
export { agentPort } from "./node-object.ts";
export type { AgentNode } from "./node-object.ts";
export type { Sandboxes } from "./pod.ts";
export type { AnsweredRequest } from "./runner.ts";
