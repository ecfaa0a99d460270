/**
 * One client connection: reads request heads and runs their exchanges, one at a time and in order. Bytes and events in,
 * calls on a pipe out; the same for TCP and TLS, and for tests without sockets.
 */
import type { Refusal } from "#wire/http1-head";
import { createRequestReader } from "#wire/http1-request";
import { ownAnswer } from "./answers.ts";
import type { EngineContext, Peer, Pipe } from "./context.ts";
import { Exchange, type ExchangeHost } from "./exchange.ts";

const nothing = Buffer.alloc(0);

export class ClientConnection implements ExchangeHost {
  readonly client: Pipe;
  readonly #context: EngineContext;
  readonly #peer: Peer;
  readonly #startTimer: (milliseconds: number) => void;
  readonly #requests: ReturnType<typeof createRequestReader>;
  /** Bytes that were read but cannot be used yet; at most one read, since reading stops while there are any. */
  #pending: Buffer = nothing;
  #exchange: Exchange | undefined;
  #state: "open" | "lingering" | "closed" = "open";
  #pumping = false;
  #reading = true;
  #ended = false;
  /** Whether the timer that runs is the one for the head being read. */
  #headTimer = true;

  /** `startTimer` restarts the connection's only timer, which calls `timeout`. */
  constructor(context: EngineContext, peer: Peer, client: Pipe, startTimer: (milliseconds: number) => void) {
    this.#context = context;
    this.#peer = peer;
    this.client = client;
    this.#startTimer = startTimer;
    this.#requests = createRequestReader(context.limits.head);
    startTimer(context.limits.headMs);
  }

  /** Whether no request is being read or answered. */
  get idle(): boolean {
    return this.#exchange === undefined && !this.#requests.started && this.#pending.length === 0;
  }

  bytes(chunk: Buffer): void {
    if (this.#state !== "open") return;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.pump();
  }

  drained(): void {
    this.#exchange?.clientDrained();
  }

  /** Everything is written and our side has ended. */
  flushed(): void {
    if (this.#state === "lingering") this.setTimer(this.#context.limits.lingerMs);
  }

  /** The client ended its sending side. */
  ended(): void {
    this.#ended = true;
    if (this.#exchange !== undefined) this.#exchange.clientEnded();
    else if (this.#state === "open") this.#close();
  }

  /** The client's connection is gone. */
  closed(): void {
    this.#state = "closed";
    this.#exchange?.clientGone();
    this.#exchange = undefined;
  }

  timeout(): void {
    if (this.#state === "lingering") this.client.close();
    else if (this.#exchange !== undefined) this.#exchange.timeout();
    else if (this.#requests.started)
      this.#refuse({ status: 408, reason: "the request head came too slowly" });
    else this.#close();
  }

  /** Graceful stop: the connection ends with the answer of its current or next request, or when none comes in time. */
  stop(): void {
    if (this.#state === "open" && this.idle) this.setTimer(this.#context.limits.idleDrainMs);
  }

  setTimer(milliseconds: number): void {
    this.#headTimer = false;
    this.#startTimer(milliseconds);
  }

  /** Uses the bytes at hand as far as possible, then reads on or stops reading. Safe to call from within. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#state === "open" && this.#pending.length > 0) {
      if (this.#exchange === undefined) this.#readHead();
      else if (this.#exchange.wantsBytes) {
        const used = this.#exchange.take(this.#pending);
        this.#pending = this.#pending.subarray(used);
      } else break;
    }
    this.#pumping = false;
    this.#setReading(this.#state !== "open" || (this.#pending.length === 0 && this.#mayRead()));
  }

  #mayRead(): boolean {
    const exchange = this.#exchange;
    return exchange === undefined || exchange.wantsBytes || exchange.listens;
  }

  #setReading(reading: boolean): void {
    if (reading === this.#reading) return;
    this.#reading = reading;
    if (reading) this.client.resume();
    else this.client.pause();
  }

  #readHead(): void {
    const result = this.#requests.push(this.#pending);
    this.#pending = nothing;
    if (result === undefined) {
      if (!this.#headTimer) this.#startTimer(this.#context.limits.headMs);
      this.#headTimer = true;
    } else if (result.kind === "refusal") {
      this.#refuse(result);
    } else {
      this.#pending = this.#requests.rest;
      this.#headTimer = false;
      this.#exchange = new Exchange(this.#context, result, this.#peer, this);
      this.#exchange.start();
    }
  }

  /** Answers what could not be read as a request; there is no telling where the next one would start. */
  #refuse(refusal: Pick<Refusal, "status" | "reason">): void {
    const { status, reason } = refusal;
    const { byStatus } = this.#context.metrics;
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    this.client.write(ownAnswer({ status, reason, keepAlive: false, date: this.#context.date() }));
    this.#close();
  }

  done(result: "keep" | "close" | "broken"): void {
    this.#exchange = undefined;
    if (this.#state !== "open") return;
    if (result === "broken") {
      this.#state = "closed";
      this.client.abort();
    } else if (
      result === "close" ||
      this.#ended ||
      (this.#context.stopping() && this.#pending.length === 0)
    ) {
      this.#close();
    } else {
      this.setTimer(this.#context.limits.keepAliveMs);
      this.pump();
    }
  }

  /** Ends our side and reads on for a while: unread bytes would make TCP reset the connection and lose the last answer. */
  #close(): void {
    this.#state = "lingering";
    this.#pending = nothing;
    this.client.end();
    // The lingering starts when all is written; a client that does not read has as long as any other idle one.
    this.setTimer(this.#context.limits.idleMs);
    this.#setReading(true);
  }
}
