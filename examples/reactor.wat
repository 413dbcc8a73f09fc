;; The smallest function: answers with the payload it was given.
;;
;; The host calls `alloc` twice, for the subject and for the payload, writes both there, and then calls
;; `handle`. The result is an address in the upper 32 bits and a length in the lower.
(module
  (memory (export "memory") 2)
  ;; Where the next `alloc` begins.
  (global $next (mut i32) (i32.const 1024))

  (func (export "alloc") (param $len i32) (result i32)
    (local $start i32)
    (local $missing i32)
    (local.set $start (global.get $next))
    (global.set $next (i32.add (local.get $start) (local.get $len)))
    ;; Grows by as many pages as are missing, which keeps nothing between calls but the memory itself.
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (global.get $next) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (drop (memory.grow (local.get $missing)))))
    (local.get $start))

  (func (export "handle")
    (param $subject i32) (param $subject_len i32) (param $payload i32) (param $payload_len i32)
    (result i64)
    ;; The bytes stay where they are until the next call begins.
    (global.set $next (i32.const 1024))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $payload)) (i64.const 32))
      (i64.extend_i32_u (local.get $payload_len)))))
