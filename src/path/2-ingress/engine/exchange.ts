/**
 * One request and its answer: a state machine that takes bytes and events and writes to pipes. It routes the request,
 * resolves the Service, opens one new connection to it, and streams both bodies with back-pressure.
 */
import { createBodyReader, type BodyReader } from "#wire/http1-body";
import { chunkStart, lastChunk } from "#wire/http1-chunked";
import { responseFraming } from "#wire/http1-framing";
import type { Refusal } from "#wire/http1-head";
import type { RequestHead } from "#wire/http1-request";
import { createResponseReader, type ResponseHead } from "#wire/http1-response";
import { countRequest } from "../metrics.ts";
import type { RequestRecord } from "../records.ts";
import { ownAnswer } from "./answers.ts";
import { Connecting, type ConnectFailure, type ConnectHost } from "./connect.ts";
import type { EngineContext, Peer, Pipe, UpstreamPipe } from "./context.ts";
import { asksForWebSocket, forwardedRequestHead, keptRequestId } from "./forward-request.ts";
import { deliver, interimHead, switchesToWebSocket, switchingHead } from "./forward-response.ts";

/** The client connection that an exchange runs on. */
export interface ExchangeHost {
  readonly client: Pipe;
  /** Restarts the connection's only timer. */
  setTimer(milliseconds: number): void;
  /** The exchange may take bytes again, or bytes behind the request. */
  pump(): void;
  /** The exchange is over. `broken`: the answer was cut off, so the connection must not end as if it were whole. */
  done(result: "keep" | "close" | "broken"): void;
}

type Phase = "connecting" | "waiting" | "answering" | "discarding" | "tunnel" | "over";

/** A request body up to this length is read to its end after an answer of our own, so that the connection can be kept. */
const discardedBytes = 65_536;

export class Exchange implements ConnectHost {
  readonly record: RequestRecord;
  readonly #context: EngineContext;
  readonly #head: RequestHead;
  readonly #peer: Peer;
  readonly #host: ExchangeHost;
  readonly #requestBody: BodyReader;
  readonly #started: number;
  readonly #webSocket: boolean;
  #phase: Phase = "connecting";
  #connecting: Connecting | undefined;
  #upstream: UpstreamPipe | undefined;
  #upstreamFull = false;
  #clientFull = false;
  #clientEnded = false;
  #upstreamEnded = false;
  #responses: ReturnType<typeof createResponseReader> | undefined;
  #responseBody: BodyReader | undefined;
  #responseChunked = false;
  #responseFramedByClose = false;
  #keepAlive = false;

  constructor(context: EngineContext, head: RequestHead, peer: Peer, host: ExchangeHost) {
    this.#context = context;
    this.#head = head;
    this.#peer = peer;
    this.#host = host;
    this.#requestBody = createBodyReader(head.framing);
    this.#started = context.now();
    this.#webSocket = asksForWebSocket(head);
    this.record = {
      requestId: keptRequestId(head) ?? context.newRequestId(),
      time: context.date().toISOString(),
      client: { address: peer.address, port: peer.port },
      ...(peer.secure ? { tls: peer.serverName === undefined ? {} : { serverName: peer.serverName } } : {}),
      method: head.method,
      host: head.host,
      path: head.path,
      requestBytes: 0,
      responseBytes: 0,
      timings: {},
    };
  }

  /** Whether `take` can use bytes of the client now. */
  get wantsBytes(): boolean {
    if (this.#upstreamFull) return false;
    if (this.#phase === "tunnel" || this.#phase === "discarding") return true;
    return (this.#phase === "waiting" || this.#phase === "answering") && !this.#requestBody.done;
  }

  /** Whether the client should be read even though no bytes are wanted: to notice that it went away. */
  get listens(): boolean {
    return this.#requestBody.done && this.#phase !== "tunnel";
  }

  start(): void {
    const head = this.#head;
    this.#context.records.add(this.record);
    if (head.target === "*") return this.#answer(200, "");
    if (head.expect !== undefined && head.expect !== "100-continue") {
      return this.#answer(417, "this expectation cannot be met");
    }
    if (head.framing.kind === "length" && head.framing.length > this.#context.limits.requestBodyBytes) {
      return this.#answer(413, "the request body is too large");
    }
    const decision = this.#context.decide(head.host, head.path);
    if (decision.rule !== undefined) {
      const { ingress, field, pathType, path } = decision.rule;
      this.record.rule = { ingress, field, pathType, path };
    }
    if (decision.kind === "refuse") {
      this.record.error = decision.reason;
      const missing = "the service for this address is not available";
      return this.#answer(
        decision.status,
        decision.status === 404 ? "nothing is served at this host and path" : missing,
      );
    }
    const { namespace, service, servicePort } = decision;
    this.record.backend = { namespace, service, port: servicePort.port };
    this.#host.setTimer(this.#context.limits.connectMs);
    this.#connecting = new Connecting(this.#context, decision, this.record, () => this.#elapsed(), this);
    this.#connecting.start();
  }

  /** There is no connection. */
  failed({ status, reason }: ConnectFailure): void {
    if (this.#phase === "connecting") this.#answer(status, reason);
  }

  // Events of the upstream connection.

  ready(upstream: UpstreamPipe): void {
    this.#upstream = upstream;
    this.#phase = "waiting";
    this.#responses = createResponseReader(this.#context.limits.head);
    this.#toUpstream(forwardedRequestHead(this.#head, this.#peer, this.record.requestId));
    this.#restartTimer();
    this.#host.pump();
  }

  bytes(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#phase === "tunnel") return this.#tunnelToClient(rest);
      if (this.#phase === "answering") return this.#responseBytes(rest);
      if (this.#phase !== "waiting" || this.#responses === undefined) return;
      const result = this.#responses.push(rest);
      if (result === undefined) return;
      if (result.kind === "refusal") return this.#badAnswer(result);
      rest = this.#responses.rest;
      this.#responseHead(result);
    }
  }

  drained(): void {
    this.#upstreamFull = false;
    this.#restartTimer();
    this.#host.pump();
  }

  ended(): void {
    this.#upstreamEnded = true;
    if (this.#phase === "tunnel") {
      this.#host.client.end();
      if (this.#clientEnded) this.#finish("close");
    } else if (this.#phase === "answering" && this.#responseFramedByClose) {
      this.#responseDone();
    } else {
      this.closed(undefined);
    }
  }

  closed(code: string | undefined): void {
    if (this.#phase === "over") return;
    const phase = this.#phase;
    this.#context.metrics.upstreamFailures++;
    this.record.error ??= `the backend closed the connection${code === undefined ? "" : ` (${code})`}`;
    if (phase === "waiting") this.#answer(502, "the service closed the connection without an answer");
    else this.#finish(phase === "tunnel" && code === undefined ? "close" : "broken");
  }

  // The answer.

  #responseHead(response: ResponseHead): void {
    if (response.status === 101) {
      if (!this.#webSocket || !switchesToWebSocket(response))
        return this.#badAnswer({ reason: "unexpected status 101" });
      return this.#openTunnel(response);
    }
    if (response.status < 200) {
      const wanted =
        response.status === 100 ? this.#head.expect !== undefined : this.#head.minorVersion === 1;
      if (wanted) this.#toClient(interimHead(response));
      return;
    }
    const framing = responseFraming(response, response.minorVersion, response.status, this.#head.method);
    if (framing.kind === "refusal") return this.#badAnswer(framing);
    // An unfinished request body would be taken for the next request, so such a connection is not kept.
    const mayKeep = this.#requestBody.done && !this.#clientEnded && !this.#context.stopping();
    const delivery = deliver(this.#head, response, framing, mayKeep, () => this.#context.date());
    this.record.status = response.status;
    this.record.timings.firstByte = this.#elapsed();
    this.#keepAlive = delivery.keepAlive;
    this.#responseChunked = delivery.body === "chunked";
    this.#responseFramedByClose = framing.kind === "close";
    this.#responseBody = createBodyReader(framing);
    this.#phase = "answering";
    this.#toClient(delivery.head);
    this.#restartTimer();
    if (this.#responseBody.done) this.#responseDone();
  }

  #responseBytes(chunk: Buffer): void {
    const body = this.#responseBody;
    if (body === undefined) return;
    body.read(chunk, 0, this.#emitToClient);
    if (body.refusal !== undefined) {
      this.record.error = `the answer of the backend is broken: ${body.refusal.reason}`;
      return this.#finish("broken");
    }
    this.#restartTimer();
    if (body.done) this.#responseDone();
  }

  readonly #emitToClient = (data: Buffer): void => {
    this.record.responseBytes += data.length;
    if (this.#responseChunked) this.#toClient(chunkStart(data.length));
    this.#toClient(data);
    if (this.#responseChunked) this.#toClient("\r\n");
  };

  #responseDone(): void {
    if (this.#responseChunked) this.#toClient(lastChunk(this.#responseBody?.trailers ?? ""));
    this.#finish(this.#keepAlive ? "keep" : "close");
  }

  #badAnswer(problem: Pick<Refusal, "reason">): void {
    this.#context.metrics.upstreamFailures++;
    this.record.error = `the answer of the backend cannot be used: ${problem.reason}`;
    this.#answer(502, "the service gave an answer that cannot be used");
  }

  /** Ends the exchange with an answer of our own, or breaks the connection when another answer has begun. */
  #answer(status: number, reason: string): void {
    if (this.#phase === "answering" || this.#phase === "tunnel") return this.#finish("broken");
    const head = this.#head;
    const discard = !this.#requestBody.done && this.#canDiscard(status);
    const kept = this.#requestBody.done || discard;
    const keep = kept && head.keepAlive && !this.#clientEnded && !this.#context.stopping();
    const { requestId } = this.record;
    const { method, minorVersion } = head;
    this.record.status = status;
    if (reason !== "") this.record.error ??= reason;
    const date = this.#context.date();
    this.#toClient(ownAnswer({ status, reason, requestId, method, minorVersion, keepAlive: keep, date }));
    if (keep && discard) this.#discard();
    else this.#finish(keep ? "keep" : "close");
  }

  /** Only while the body is whole and known to come soon; a client that waits for 100 Continue may never send it. */
  #canDiscard(status: number): boolean {
    const { framing, expect } = this.#head;
    return (
      framing.kind === "length" &&
      framing.length <= discardedBytes &&
      expect === undefined &&
      status !== 408 &&
      status !== 413
    );
  }

  #discard(): void {
    this.#dropUpstream();
    this.#phase = "discarding";
    this.#upstreamFull = false;
    this.#host.setTimer(this.#context.limits.idleMs);
    this.#host.pump();
  }

  // The client.

  /** Takes bytes of the request body, or of the tunnel; returns how many were used. */
  take(bytes: Buffer): number {
    if (this.#phase === "tunnel") {
      this.record.requestBytes += bytes.length;
      this.#toUpstream(bytes);
      this.#restartTimer();
      return bytes.length;
    }
    if (this.#phase === "discarding") {
      const end = this.#requestBody.read(bytes, 0, () => undefined);
      if (this.#requestBody.done) this.#finish("keep");
      return end;
    }
    const used = this.#requestBody.read(bytes, 0, this.#emitToUpstream);
    const { refusal } = this.#requestBody;
    if (refusal !== undefined) this.#answer(refusal.status, refusal.reason);
    else if (this.record.requestBytes > this.#context.limits.requestBodyBytes) {
      this.#answer(413, "the request body is too large");
    } else {
      if (this.#requestBody.done && this.#head.framing.kind === "chunked") {
        this.#toUpstream(lastChunk(this.#requestBody.trailers));
      }
      this.#restartTimer();
    }
    return used;
  }

  readonly #emitToUpstream = (data: Buffer): void => {
    this.record.requestBytes += data.length;
    const chunked = this.#head.framing.kind === "chunked";
    if (chunked) this.#toUpstream(chunkStart(data.length));
    this.#toUpstream(data);
    if (chunked) this.#toUpstream("\r\n");
  };

  clientDrained(): void {
    this.#restartTimer();
    if (!this.#clientFull) return;
    this.#clientFull = false;
    this.#upstream?.resume();
  }

  /** The client will send no more. A client that only closed its sending side still gets its answer. */
  clientEnded(): void {
    this.#clientEnded = true;
    this.#keepAlive = false;
    if (this.#phase === "tunnel") {
      this.#upstream?.end();
      if (this.#upstreamEnded) this.#finish("close");
    } else if (this.#phase === "discarding") {
      this.#finish("close");
    } else if (!this.#requestBody.done) {
      this.record.error = "the client ended the connection inside the request body";
      this.#answer(400, "the request body is not complete");
    }
  }

  /** The client's connection is gone. */
  clientGone(): void {
    if (this.#phase === "over") return;
    if (this.#phase !== "tunnel" && this.#phase !== "discarding") {
      this.record.error ??= "the client went away before the answer was complete";
      this.record.status = 499;
    }
    this.#finish("broken");
  }

  timeout(): void {
    if (this.#phase === "discarding") return this.#finish("close");
    const seconds = (this.#context.now() - this.#started) / 1000;
    const doing = this.#phase === "connecting" ? this.#connecting?.phase : this.#phase;
    this.record.error = `timeout while ${doing} after ${seconds.toFixed(1)} s`;
    if (this.#phase === "connecting") this.#connectTimeout();
    else if (this.#phase !== "waiting") this.#finish("broken");
    else if (this.#requestBody.done || this.#upstreamFull)
      this.#answer(504, "the service took too long to answer");
    else this.#answer(408, "the request body came too slowly");
  }

  #connectTimeout(): void {
    const failure = this.#connecting?.timedOut();
    if (failure !== undefined) this.failed(failure);
  }

  // WebSocket.

  #openTunnel(response: ResponseHead): void {
    this.record.status = 101;
    this.record.timings.firstByte = this.#elapsed();
    this.#phase = "tunnel";
    this.#toClient(switchingHead(response));
    this.#restartTimer();
    if (this.#clientEnded) this.#upstream?.end();
    this.#host.pump();
  }

  #tunnelToClient(data: Buffer): void {
    this.record.responseBytes += data.length;
    this.#toClient(data);
    this.#restartTimer();
  }

  // Common parts.

  #toClient(data: Buffer | string): void {
    if (this.#host.client.write(data) || this.#clientFull) return;
    this.#clientFull = true;
    this.#upstream?.pause();
  }

  #toUpstream(data: Buffer | string): void {
    if (this.#upstream?.write(data) === false) this.#upstreamFull = true;
  }

  #restartTimer(): void {
    const { limits } = this.#context;
    if (this.#phase === "tunnel") this.#host.setTimer(limits.tunnelIdleMs);
    else if (this.#phase === "answering") this.#host.setTimer(limits.idleMs);
    else if (this.#phase === "waiting") {
      this.#host.setTimer(this.#requestBody.done ? limits.responseHeadMs : limits.idleMs);
    }
  }

  #elapsed(): number {
    return Math.round((this.#context.now() - this.#started) * 1000) / 1000;
  }

  #finish(result: "keep" | "close" | "broken"): void {
    this.#phase = "over";
    const total = this.#elapsed();
    this.record.timings.total = total;
    countRequest(this.#context.metrics, this.record.status ?? 499, total);
    const complete = result !== "broken" && this.#responseBody?.done === true && this.#requestBody.done;
    if (complete) this.#upstream?.release();
    else this.#dropUpstream();
    this.#host.done(result);
  }

  #dropUpstream(): void {
    this.#connecting?.abort();
    this.#upstream?.abort();
  }
}
