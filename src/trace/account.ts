import type { PodAccount } from "./types.ts";

/**
 * What a stand-in says of itself: the body of its answer, one line of JSON with `pod`, `namespace`, `node`, `address`
 * and `peer`. Undefined for any other body: a real application gives no such account.
 */
export function accountOf(body: string): PodAccount | undefined {
  const value = parsed(body);
  if (typeof value !== "object" || value === null || !("pod" in value) || !("namespace" in value))
    return undefined;
  const { pod, namespace } = value;
  if (typeof pod !== "string" || typeof namespace !== "string") return undefined;
  const peer = "peer" in value ? addressOf(value.peer) : undefined;
  const node = "node" in value ? addressOf(value.node) : undefined;
  const address = "address" in value ? addressOf(value.address) : undefined;
  return {
    pod,
    namespace,
    ...(node === undefined ? {} : { node }),
    ...(address === undefined ? {} : { address }),
    ...(peer === undefined ? {} : { peer }),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** `10.0.0.1`, also out of `10.0.0.1:41234` or `{"address": "10.0.0.1"}`. */
function addressOf(value: unknown): string | undefined {
  if (typeof value === "string") return value.replace(/:\d+$/, "");
  if (typeof value !== "object" || value === null || !("address" in value)) return undefined;
  return typeof value.address === "string" ? value.address : undefined;
}
