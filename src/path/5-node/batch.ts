/** Gathers what several callers want done in one namespace at about the same time into one program run. */
export interface Batch {
  /** Resolves when these lines are done. If they fail together with others, they are undone and tried alone. */
  run(lines: readonly string[], undo: readonly string[]): Promise<void>;
}

interface Wish {
  readonly lines: readonly string[];
  readonly undo: readonly string[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** `execute` carries out lines in order and throws at the first that fails. */
export function createBatch(execute: (lines: readonly string[]) => Promise<void>): Batch {
  let waiting: Wish[] = [];
  let busy = false;

  const alone = async ({ lines, undo, resolve, reject }: Wish): Promise<void> => {
    for (const line of undo) await execute([line]).catch(() => undefined);
    await execute(lines).then(resolve, reject);
  };

  const drain = async (): Promise<void> => {
    busy = true;
    while (waiting.length > 0) {
      const wishes = waiting;
      waiting = [];
      try {
        await execute(wishes.flatMap(({ lines }) => lines));
        for (const { resolve } of wishes) resolve();
      } catch (error) {
        const [only] = wishes;
        if (wishes.length === 1 && only !== undefined) only.reject(error);
        else for (const wish of wishes) await alone(wish);
      }
    }
    busy = false;
  };

  return {
    run(lines, undo) {
      return new Promise((resolve, reject) => {
        waiting.push({ lines, undo, resolve, reject });
        // Callers of this turn of the event loop share the first run.
        if (!busy) {
          busy = true;
          queueMicrotask(() => setImmediate(() => void drain()));
        }
      });
    },
  };
}
