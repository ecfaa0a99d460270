/** What one container wrote: the newest part, in memory. */
export interface LogLine {
  /** RFC 3339 with milliseconds. */
  readonly time: string;
  readonly text: string;
}

export interface ContainerLog {
  /** Adds output as it comes; lines are cut at newlines. */
  write(chunk: string): void;
  /** Adds one whole line. */
  line(text: string): void;
  lines(): readonly LogLine[];
  /** Calls back for every later line, and once when there will be no more; returns a function that ends it. */
  follow(listener: (line: LogLine) => void, onEnd?: () => void): () => void;
  /** The container has ended: what it wrote without a newline is its last line. */
  end(): void;
}

/** A line longer than this is cut into several, as container runtimes do. */
const LONGEST_LINE = 16 * 1024;

/** Keeps the newest lines, together at most `limit` characters. */
export function createContainerLog(limit = 1024 * 1024, now: () => Date = () => new Date()): ContainerLog {
  const lines: LogLine[] = [];
  const followers = new Set<{ readonly listener: (line: LogLine) => void; readonly onEnd: () => void }>();
  let size = 0;
  let rest = "";
  let ended = false;

  const add = (text: string): void => {
    const entry = { time: now().toISOString(), text };
    lines.push(entry);
    size += text.length + 1;
    while (size > limit && lines.length > 1) size -= (lines.shift()?.text.length ?? 0) + 1;
    for (const { listener } of followers) listener(entry);
  };

  return {
    write(chunk) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) add(part);
      while (rest.length >= LONGEST_LINE) {
        add(rest.slice(0, LONGEST_LINE));
        rest = rest.slice(LONGEST_LINE);
      }
    },
    line: add,
    lines: () => lines,
    follow(listener, onEnd = () => undefined) {
      const follower = { listener, onEnd };
      if (ended) onEnd();
      else followers.add(follower);
      return () => followers.delete(follower);
    },
    end() {
      if (rest !== "") add(rest);
      rest = "";
      ended = true;
      for (const { onEnd } of followers) onEnd();
      followers.clear();
    },
  };
}

export interface LogOptions {
  readonly tailLines?: number;
  readonly limitBytes?: number;
  readonly sinceSeconds?: number;
  readonly timestamps?: boolean;
}

/** The lines that the options ask for, each ending in a newline. */
export function selectLog(lines: readonly LogLine[], options: LogOptions, now: Date): string {
  const since =
    options.sinceSeconds === undefined
      ? ""
      : new Date(now.getTime() - options.sinceSeconds * 1000).toISOString();
  const recent = lines.filter(({ time }) => time >= since);
  const tail =
    options.tailLines === undefined
      ? recent
      : recent.slice(recent.length - Math.min(options.tailLines, recent.length));
  const text = tail.map((line) => formatLine(line, options)).join("");
  return options.limitBytes === undefined
    ? text
    : Buffer.from(text).subarray(0, options.limitBytes).toString();
}

export function formatLine({ time, text }: LogLine, { timestamps }: Pick<LogOptions, "timestamps">): string {
  return timestamps === true ? `${time} ${text}\n` : `${text}\n`;
}
