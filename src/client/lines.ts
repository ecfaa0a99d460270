import { InroadError } from "#lib/errors";

const newline = 0x0a;

/**
 * The lines of a body, without their ends, however the bytes are cut into chunks; empty lines are left out.
 * Throws `LineTooLong` as soon as a line is longer than `limit` bytes.
 */
export async function* splitLines(
  body: AsyncIterable<Uint8Array>,
  limit: number = 64 * 1024 * 1024,
): AsyncGenerator<string, void> {
  let pending: Uint8Array[] = [];
  let size = 0;
  const take = (part: Uint8Array): string => {
    const line = pending.length === 0 ? part : Buffer.concat([...pending, part]);
    pending = [];
    size = 0;
    return new TextDecoder().decode(line).replace(/\r$/, "");
  };
  const check = (length: number): void => {
    if (size + length > limit) {
      throw new InroadError("LineTooLong", `the API server sent a line of more than ${limit} bytes`);
    }
  };
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      check(end - start);
      const line = take(chunk.subarray(start, end));
      if (line !== "") yield line;
      start = end + 1;
    }
    check(chunk.length - start);
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      size += chunk.length - start;
    }
  }
  const last = take(new Uint8Array(0));
  if (last !== "") yield last;
}
