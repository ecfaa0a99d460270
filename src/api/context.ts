import type { Duplex } from "node:stream";
import type { KindInfo } from "#kube";
import type { Log } from "#lib/log";
import type { Allocator } from "./service-allocation.ts";
import type { Store } from "./store.ts";

/** Who asks. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What the parts of one API server share. */
export interface Context {
  readonly kinds: readonly KindInfo[];
  readonly store: Store;
  readonly allocator: Allocator;
  readonly log: Log;
  readonly now: () => Date;
  /** Opens a connection to a node or pod. */
  readonly dial: ((address: string, port: number) => Duplex) | undefined;
  /** Bearer token of the debug endpoints of our own components. */
  readonly debugToken: string;
  /** Counts open watches; at the limit further ones are refused. */
  readonly watches: { open: number; readonly limit: number };
  /** Ends all watches when the server closes. */
  readonly closing: AbortSignal;
}

/** A request after its head has been understood. */
export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal | undefined;
}
