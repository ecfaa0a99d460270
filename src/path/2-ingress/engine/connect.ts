/** From a decision to a connection: resolves the Service's name, dials, and dials again while that is safe. */
import { codeOf, messageOf } from "#lib/errors";
import { upstreamPort, type Forward } from "../plan.ts";
import type { RequestRecord } from "../records.ts";
import type { EngineContext, UpstreamEvents, UpstreamPipe } from "./context.ts";
import type { Resolution } from "./resolve-cache.ts";

/** Why there is no connection, in words for the client; details for operators are in the record. */
export interface ConnectFailure {
  readonly status: 502 | 503 | 504;
  readonly reason: string;
}

/** What becomes of it. Events of the connection follow on `ready`. */
export interface ConnectHost extends Omit<UpstreamEvents, "connected"> {
  ready(upstream: UpstreamPipe): void;
  failed(failure: ConnectFailure): void;
}

const unavailable = "the service for this address is not available";

export class Connecting {
  readonly #context: EngineContext;
  readonly #decision: Forward;
  readonly #record: RequestRecord;
  readonly #elapsed: () => number;
  readonly #host: ConnectHost;
  #phase: "resolving" | "connecting" | "over" = "resolving";
  #attempts = 0;
  #upstream: UpstreamPipe | undefined;

  /** `elapsed`: milliseconds since the request came. */
  constructor(
    context: EngineContext,
    decision: Forward,
    record: RequestRecord,
    elapsed: () => number,
    host: ConnectHost,
  ) {
    this.#context = context;
    this.#decision = decision;
    this.#record = record;
    this.#elapsed = elapsed;
    this.#host = host;
  }

  get phase(): string {
    return this.#phase;
  }

  start(): void {
    const { name, addresses } = this.#decision;
    const result = this.#context.resolve(name, addresses);
    if (!(result instanceof Promise)) return this.#resolved(result);
    result.then(
      (resolution) => this.#resolved(resolution),
      (error: unknown) => this.#unresolved(error),
    );
  }

  /** Gives up; nothing more is told. */
  abort(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#upstream?.abort();
  }

  /** What the client is told when the time is up. */
  timedOut(): ConnectFailure {
    if (this.#phase === "resolving") return { status: 504, reason: "looking up the service took too long" };
    const [address, local] = [this.#record.dns?.address, this.#upstream?.local()];
    // By its own end it can be found where its packets were kept back.
    if (address !== undefined && local !== undefined) this.#noteUpstream(address, local);
    this.#record.error = `connecting to ${address ?? "the service"} took too long`;
    // Without endpoints the node rejects, but ICMP errors are few per second: the connection may only run out of time.
    return this.#context.reach(this.#decision) === "none"
      ? this.#noEndpoints()
      : { status: 504, reason: "connecting to the service took too long" };
  }

  #unresolved(error: unknown): void {
    if (this.#phase !== "resolving") return;
    this.#record.error = `resolving ${this.#decision.name} failed: ${messageOf(error)}`;
    if (codeOf(error) === "NameNotFound") this.#fail({ status: 503, reason: unavailable });
    else this.#fail({ status: 502, reason: "the service for this address could not be looked up" });
  }

  #resolved(resolution: Resolution): void {
    if (this.#phase !== "resolving") return;
    const { address, answer } = resolution;
    this.#record.timings.resolved = this.#elapsed();
    this.#record.dns = { name: this.#decision.name, address, answer };
    this.#phase = "connecting";
    this.#dial(address);
  }

  #dial(address: string): void {
    const host = this.#host;
    let connected = false;
    this.#attempts++;
    this.#upstream = this.#context.dial(address, upstreamPort(this.#decision, address), {
      connected: (local) => {
        connected = true;
        this.#connected(address, local);
      },
      bytes: (chunk) => host.bytes(chunk),
      drained: () => host.drained(),
      ended: () => host.ended(),
      closed: (code) => (connected ? host.closed(code) : this.#refused(address, code)),
    });
  }

  #connected(address: string, local: { readonly address: string; readonly port: number }): void {
    if (this.#phase !== "connecting" || this.#upstream === undefined) return;
    this.#phase = "over";
    this.#record.timings.connected = this.#elapsed();
    this.#noteUpstream(address, local);
    this.#host.ready(this.#upstream);
  }

  #noteUpstream(address: string, local: { readonly address: string; readonly port: number }): void {
    this.#record.upstream = {
      address,
      port: upstreamPort(this.#decision, address),
      localAddress: local.address,
      localPort: local.port,
      attempts: this.#attempts,
    };
  }

  /** A refused connection was never used, so trying again is safe for every method, and the kernel picks another pod. */
  #refused(address: string, code: string | undefined): void {
    if (this.#phase !== "connecting") return;
    this.#context.metrics.upstreamFailures++;
    const reach = this.#context.reach(this.#decision);
    const more = this.#attempts < this.#context.limits.connectAttempts;
    if (code === "ECONNREFUSED" && reach === "endpoint" && more) return this.#dial(address);
    this.#context.forget(this.#decision.name);
    this.#record.error = `connecting to ${address} failed (${code ?? "closed"})`;
    this.#fail(
      reach === "none"
        ? this.#noEndpoints()
        : { status: 502, reason: "the service did not accept the connection" },
    );
  }

  #noEndpoints(): ConnectFailure {
    const { namespace, service } = this.#decision;
    this.#record.error = `${this.#record.error}; Service ${namespace}/${service} has no ready endpoints`;
    return { status: 503, reason: "the service for this address has no ready endpoints" };
  }

  #fail(failure: ConnectFailure): void {
    this.#phase = "over";
    this.#host.failed(failure);
  }
}
