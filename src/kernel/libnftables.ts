/**
 * nft as a library. To start a program, a process copies its page tables, and then each page's next write is a fault:
 * 5 to 20 ms for a process of our size and 5 ms for the program, where a small script costs the library 1 or 2.
 */
import ffi from "node:ffi";

/** Carries out a script, all of it or nothing, and returns what it printed; undefined when something was wrong. */
type Run = (script: string, json: boolean) => string | undefined;

/** NFT_CTX_OUTPUT_JSON of libnftables.h. */
const OUTPUT_JSON = 1 << 4;

/** Opens the library that the program nft itself is made of; undefined where it cannot be found. */
export function openLibnftables(): Run | undefined {
  try {
    return runner(load());
  } catch {
    return undefined;
  }
}

function load() {
  return ffi.dlopen("libnftables.so.1", {
    nft_ctx_new: { arguments: ["u32"], return: "pointer" },
    nft_ctx_free: { arguments: ["pointer"], return: "void" },
    nft_ctx_output_set_flags: { arguments: ["pointer", "u32"], return: "void" },
    nft_ctx_buffer_output: { arguments: ["pointer"], return: "i32" },
    nft_ctx_buffer_error: { arguments: ["pointer"], return: "i32" },
    nft_ctx_get_output_buffer: { arguments: ["pointer"], return: "pointer" },
    nft_run_cmd_from_buffer: { arguments: ["pointer", "string"], return: "i32" },
  }).functions;
}

/** A context per script: its socket belongs to the network namespace in which it was made. */
function runner(library: ReturnType<typeof load>): Run {
  return (script, json) => {
    const context = library.nft_ctx_new(0);
    if (context === 0n) return undefined;
    try {
      // What would go to standard error is dropped with the context.
      if (library.nft_ctx_buffer_output(context) !== 0 || library.nft_ctx_buffer_error(context) !== 0)
        return undefined;
      if (json) library.nft_ctx_output_set_flags(context, OUTPUT_JSON);
      if (library.nft_run_cmd_from_buffer(context, script) !== 0) return undefined;
      return ffi.toString(library.nft_ctx_get_output_buffer(context)) ?? "";
    } finally {
      library.nft_ctx_free(context);
    }
  };
}
