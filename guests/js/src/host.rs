//! What the host does for the guest.
//!
//! Owns: the imports, and safe functions around them. Never: adds a meaning of its own.

#[link(wasm_import_module = "nex")]
unsafe extern "C" {
    fn log(level: u32, text: *const u8, len: usize);
    fn now() -> f64;
    fn random(target: *mut u8, len: usize);
    fn reply(body: *const u8, len: usize, headers: *const u8, headers_len: usize, status: u32);
    fn fail(message: *const u8, len: usize, detail: *const u8, detail_len: usize);
    fn host_call(operation: u32, argument: *const u8, len: usize) -> u32;
    fn host_wait(until: f64) -> u64;
    fn host_run(operation: u32, argument: *const u8, len: usize) -> usize;
    fn host_take(result: *mut u8) -> u32;
    fn call_meta() -> u32;
    fn call_meta_take(target: *mut u8);
}

/// The end of a host operation.
pub struct Done {
    pub id: u32,
    pub is_error: bool,
    pub result: Vec<u8>,
}

/// One or more lines of log; levels are 0 (debug) to 3 (error).
pub fn log_lines(level: u32, text: &str) {
    // SAFETY: the host reads `len` bytes at the address and keeps nothing.
    unsafe { log(level, text.as_ptr(), text.len()) }
}

/// A clock that no change of the time of day disturbs, in milliseconds.
pub fn steady_millis() -> f64 {
    // SAFETY: no memory is involved.
    unsafe { now() }
}

/// Fills `target` with bytes that nobody can foresee; at most 65,536.
pub fn fill_random(target: &mut [u8]) {
    // SAFETY: the host writes within the range.
    unsafe { random(target.as_mut_ptr(), target.len()) }
}

/// Answers the call. An empty `headers` is none; otherwise it is a JSON array of pairs.
pub fn reply_with(body: &[u8], headers: &str, status: u32) {
    // SAFETY: the host reads both ranges and keeps nothing.
    unsafe { reply(body.as_ptr(), body.len(), headers.as_ptr(), headers.len(), status) }
}

/// Fails the call, or refuses the script while it is loaded.
pub fn fail_with(message: &str, detail: &str) {
    // SAFETY: the host reads both ranges and keeps nothing.
    unsafe { fail(message.as_ptr(), message.len(), detail.as_ptr(), detail.len()) }
}

/// Starts an operation; its number comes back from [`wait`] when it is done.
pub fn start(operation: u32, argument: &[u8]) -> u32 {
    // SAFETY: the host reads the range before it returns.
    unsafe { host_call(operation, argument.as_ptr(), argument.len()) }
}

/// Sleeps until an operation is done, or the steady clock shows `until`: then there is none.
pub fn wait(until: f64) -> Option<Done> {
    // SAFETY: no memory is involved.
    let done = unsafe { host_wait(until) };
    let id = (done >> 32) as u32;
    if id == 0 {
        return None;
    }
    let mut result = vec![0; (done & u64::from(u32::MAX)) as usize];
    // SAFETY: the host writes as many bytes as it just announced.
    let is_error = unsafe { host_take(result.as_mut_ptr()) } != 0;
    Some(Done { id, is_error, result })
}

/// What the host knows of the running call, as JSON: headers, reply subject, trigger, deadline.
pub fn meta() -> Vec<u8> {
    // SAFETY: no memory is involved.
    let len = unsafe { call_meta() };
    let mut json = vec![0; len as usize];
    // SAFETY: the host writes as many bytes as it just announced.
    unsafe { call_meta_take(json.as_mut_ptr()) };
    json
}

/// Runs an operation to its end; nothing else of the guest runs meanwhile.
pub fn run(operation: u32, argument: &[u8]) -> Done {
    // SAFETY: the host reads the range before it returns.
    let len = unsafe { host_run(operation, argument.as_ptr(), argument.len()) };
    let mut result = vec![0; len];
    // SAFETY: the host writes as many bytes as it just announced.
    let is_error = unsafe { host_take(result.as_mut_ptr()) } != 0;
    Done { id: 0, is_error, result }
}
