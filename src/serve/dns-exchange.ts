/** One question to one server: by UDP, then by TCP when the answer did not fit (RFC 1035, RFC 5452, RFC 7766). */
import { randomInt } from "node:crypto";
import { codeOf, messageOf } from "#lib/errors";
import { createFrameReader, decodeMessage, encodeMessage, frame, type Message } from "#wire/dns";
import { MAX_UDP } from "./dns-answer.ts";
import type { DnsEndpoint, DnsSockets } from "./dns-sockets.ts";

export type DnsExchange =
  | { readonly ok: true; readonly message: Message; readonly transport: "udp" | "tcp" }
  | { readonly ok: false; readonly reason: string };

/** Asks `server` for a name (absolute) and type; waits at most `timeoutMs` for each transport. Never rejects. */
export async function askServer(
  server: DnsEndpoint,
  question: { readonly name: string; readonly type: string },
  options: { readonly sockets: DnsSockets; readonly timeoutMs: number },
): Promise<DnsExchange> {
  const query = queryFor(question);
  try {
    const message = await askByUdp(server, query, options);
    if (message === undefined) return { ok: false, reason: `no answer within ${options.timeoutMs} ms` };
    if (!message.truncated) return { ok: true, message, transport: "udp" };
    const whole = await askByTcp(server, query, options);
    if (whole === undefined) return { ok: false, reason: `no answer by TCP within ${options.timeoutMs} ms` };
    return { ok: true, message: whole, transport: "tcp" };
  } catch (error) {
    return { ok: false, reason: codeOf(error) ?? messageOf(error) };
  }
}

function queryFor(question: { readonly name: string; readonly type: string }): Message {
  return {
    id: randomInt(0x10000),
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ ...question, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: { udpSize: MAX_UDP, version: 0, dnssecOk: false },
  };
}

/** The response if it belongs to the query: same id and question (RFC 5452 section 9.1); everything else is ignored. */
function responseFor(query: Message, bytes: Uint8Array): Message | undefined {
  let message: Message;
  try {
    message = decodeMessage(bytes);
  } catch {
    return undefined;
  }
  const [asked] = query.questions;
  const [answered] = message.questions;
  // A server that cannot read the query may leave the question out.
  const sameQuestion =
    answered === undefined
      ? message.rcode !== 0
      : answered.name.toLowerCase() === asked?.name.toLowerCase() && answered.type === asked.type;
  return message.response && message.id === query.id && sameQuestion ? message : undefined;
}

async function askByUdp(
  server: DnsEndpoint,
  query: Message,
  { sockets, timeoutMs }: { readonly sockets: DnsSockets; readonly timeoutMs: number },
): Promise<Message | undefined> {
  const bytes = encodeMessage(query);
  const socket = await sockets.udp(server);
  try {
    return await within(timeoutMs, (done, fail) => {
      socket.on("error", fail);
      socket.on("message", (reply) => {
        const message = responseFor(query, reply);
        if (message !== undefined) done(message);
      });
      // Connected: only this server's datagrams arrive, and a closed port is told at once.
      socket.connect(server.port, server.address, (error?: Error) => {
        if (error === undefined || error === null) socket.send(bytes, (failed) => failed && fail(failed));
        else fail(error);
      });
    });
  } finally {
    socket.close();
  }
}

async function askByTcp(
  server: DnsEndpoint,
  query: Message,
  { sockets, timeoutMs }: { readonly sockets: DnsSockets; readonly timeoutMs: number },
): Promise<Message | undefined> {
  const socket = sockets.tcp(server);
  try {
    return await within(timeoutMs, (done, fail) => {
      const frames = createFrameReader();
      socket.on("error", fail);
      socket.on("end", () => fail(new Error("connection closed before the answer")));
      socket.on("data", (chunk) => {
        if (typeof chunk === "string") return;
        for (const reply of frames.push(chunk)) {
          const message = responseFor(query, reply);
          if (message !== undefined) done(message);
        }
      });
      socket.write(frame(encodeMessage(query)));
    });
  } finally {
    socket.destroy();
  }
}

function within<T>(
  timeoutMs: number,
  start: (done: (value: T) => void, fail: (error: Error) => void) => void,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      finish();
    };
    start(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}
