// A component in C: the payload comes back turned round, and an empty one is an error.
//
// Built by `cargo xtask guests` into examples/component-c.wasm; docs/guide/webassembly.md says how by hand.

#include "pure.h"

bool exports_nex_function_handler_handle(exports_nex_function_handler_message_t *message,
                                         exports_nex_function_handler_reply_t *reply,
                                         exports_nex_function_handler_error_t *error) {
  size_t len = message->payload.len;
  if (len == 0) {
    error->tag = NEX_FUNCTION_TYPES_ERROR_BAD_INPUT;
    pure_string_dup(&error->val.bad_input, "there is nothing to turn round");
    return false;
  }
  // The payload is ours: it is turned round where it is, and given back.
  uint8_t *bytes = message->payload.ptr;
  for (size_t i = 0; i < len / 2; i++) {
    uint8_t byte = bytes[i];
    bytes[i] = bytes[len - 1 - i];
    bytes[len - 1 - i] = byte;
  }
  reply->payload.ptr = bytes;
  reply->payload.len = len;
  reply->headers.ptr = NULL;
  reply->headers.len = 0;
  return true;
}
