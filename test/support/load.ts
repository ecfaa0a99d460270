/**
 * A program that keeps asking: node load.ts 'JSON list of streams'. It prints `asking` once every stream has had its
 * first answer, and when its standard input ends, one line of JSON with what became of all requests.
 *
 * A request has failed unless the whole answer came with status 200. Nothing is tried twice.
 */
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, get as httpsGet } from "node:https";

export interface Stream {
  readonly name: string;
  readonly url: string;
  /** For the Host field and the name in TLS. */
  readonly host?: string;
  /** One connection per request, or as few connections as possible. */
  readonly connections: "new" | "kept";
  /** Requests begun per second. */
  readonly rate: number;
}

export interface Tally {
  answered: number;
  readonly failures: string[];
}

const longestAnswerMs = 5000;

/** One request; the answer's whole body must come. */
function ask({ url, host, connections }: Stream, agent: HttpAgent | HttpsAgent): Promise<void> {
  return new Promise((resolve, reject) => {
    const secure = url.startsWith("https:");
    const request = (secure ? httpsGet : httpGet)(url, {
      agent: connections === "new" ? false : agent,
      rejectUnauthorized: false,
      headers: {
        ...(host === undefined ? {} : { host }),
        ...(connections === "new" ? { connection: "close" } : {}),
      },
      ...(secure && host !== undefined ? { servername: host } : {}),
      timeout: longestAnswerMs,
    });
    request.on("timeout", () => request.destroy(new Error(`nothing within ${longestAnswerMs} ms`)));
    request.on("error", reject);
    request.on("response", (response: IncomingMessage) => {
      response.on("error", reject);
      response.resume().on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
  });
}

/** Asks at an even pace until told to stop; then waits for the answers that are due. */
function run(stream: Stream, tally: Tally): () => Promise<void> {
  const options = { keepAlive: true, maxSockets: 2 };
  const agent = stream.url.startsWith("https:") ? new HttpsAgent(options) : new HttpAgent(options);
  const open = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const began = new Date().toISOString();
    const one = ask(stream, agent)
      .then(
        () => void (tally.answered += 1),
        (error: Error) => void tally.failures.push(`${began} ${error.message}`),
      )
      .finally(() => open.delete(one));
    open.add(one);
  }, 1000 / stream.rate);
  return async () => {
    clearInterval(timer);
    await Promise.all(open);
    agent.destroy();
  };
}

const streams: readonly Stream[] = JSON.parse(process.argv[2] ?? "[]");
const running = streams.map((stream) => {
  const tally: Tally = { answered: 0, failures: [] };
  return { name: stream.name, tally, stop: run(stream, tally) };
});
const beginning = setInterval(() => {
  if (running.some(({ tally }) => tally.answered === 0)) return;
  clearInterval(beginning);
  console.log("asking");
}, 10);
process.stdin.resume().on("end", () => {
  void Promise.all(running.map(({ stop }) => stop())).then(() => {
    clearInterval(beginning);
    console.log(JSON.stringify(Object.fromEntries(running.map(({ name, tally }) => [name, tally]))));
  });
});
