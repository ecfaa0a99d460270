import { withoutContained } from "#lib/ip";
import { perObject } from "./memo.ts";
import type { NodeModel } from "./types.ts";

/** The networks that pods of these nodes have addresses of, none inside another: what is in them is a pod. */
export const podNetworks = perObject((nodes: ReadonlyMap<string, NodeModel>): readonly string[] =>
  withoutContained([...nodes.values()].flatMap(({ podCIDRs }) => podCIDRs)),
);
